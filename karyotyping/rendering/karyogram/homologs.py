"""How alike chromosomes are, and the order in which the most alike stand side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome


def similarity(one: Chromosome, other: Chromosome) -> float:
    """-1..1: cosine similarity of the embeddings if there are any, else correlation of the profiles p arm up."""
    if one.embedding is not None and other.embedding is not None:
        return _cosine(one.embedding, other.embedding)
    a, b = _p_arm_first(one), _p_arm_first(other)
    return _cosine(a - a.mean(), b - b.mean())


def order_homologs(homologs: Sequence[Chromosome]) -> list[Chromosome]:
    """``homologs`` in an order in which the most alike are neighbours.

    It grows from the most alike two, at either end, by the one that is most like that end. Of two homologs the surer
    one stands on the left.
    """
    items = sorted(homologs, key=lambda item: (-item.class_score, item.ordinal))
    if len(items) < 3:
        return items
    alike = np.array([[similarity(one, other) for other in items] for one in items])
    np.fill_diagonal(alike, -np.inf)
    row = list(np.unravel_index(alike.argmax(), alike.shape))
    alike[:, row] = -np.inf
    while len(row) < len(items):
        left, right = alike[row[0]], alike[row[-1]]
        if right.max() >= left.max():
            row.append(right.argmax())
        else:
            row.insert(0, left.argmax())
        alike[:, row] = -np.inf
    return [items[k] for k in row]


def _p_arm_first(chromosome: Chromosome) -> NDArray[np.float32]:
    return chromosome.profile[::-1] if chromosome.orientation == "p_down" else chromosome.profile


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    norms = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norms if norms else 0.0
