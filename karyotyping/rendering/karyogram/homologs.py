"""Similarity of homologs, and their order by similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome


def similarity(one: Chromosome, other: Chromosome) -> float:
    """Return the cosine of the embeddings, or without them the profiles' correlation, -1..1."""
    if one.embedding is not None and other.embedding is not None:
        return _cosine(one.embedding, other.embedding)
    a, b = _p_arm_first(one), _p_arm_first(other)
    return _cosine(a - a.mean(), b - b.mean())


def order_homologs(homologs: Sequence[Chromosome]) -> list[Chromosome]:
    """Return ``homologs`` in an order in which the most similar ones are neighbours.

    The order starts with the most similar pair. The homolog most similar to either end is added there. Two homologs are
    ordered by class score, the higher one first.
    """
    items = sorted(homologs, key=lambda item: (-item.class_score, item.ordinal))
    if len(items) < 3:
        return items
    similarities = np.array([[similarity(one, other) for other in items] for one in items])
    np.fill_diagonal(similarities, -np.inf)
    order = list(np.unravel_index(similarities.argmax(), similarities.shape))
    similarities[:, order] = -np.inf
    while len(order) < len(items):
        left, right = similarities[order[0]], similarities[order[-1]]
        if right.max() >= left.max():
            order.append(right.argmax())
        else:
            order.insert(0, left.argmax())
        similarities[:, order] = -np.inf
    return [items[k] for k in order]


def _p_arm_first(chromosome: Chromosome) -> NDArray[np.float32]:
    return chromosome.profile[::-1] if chromosome.orientation == "p_down" else chromosome.profile


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0
