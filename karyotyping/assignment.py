"""The chromosomes of a cell assigned to classes together, without hiding an aneuploidy.

Every class offers slots: two that cost nothing, a third and a fourth that cost something, so that evidence can buy a
trisomy. An empty slot of the first two costs something too, and is not refused either. Beside its class, every
chromosome has the choice of fitting nothing. The cheapest whole is found by the Hungarian method
(:func:`scipy.optimize.linear_sum_assignment`), once for each sex-chromosome complement that is free of cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from karyotyping.cell import CLASS_NAMES, X, Y

Floats = NDArray[np.float64]

CLASSES = len(CLASS_NAMES)
_SCALING_ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Prior:
    """What departures from a normal cell cost, in nats (units of log-probability)."""

    gain: float = 2.5
    """Each copy beyond the normal ones."""
    loss: float = 2.5
    """Each normal copy that is missing."""
    nothing: float = 7.0
    """A chromosome that fits no class, against one that fits its class with certainty."""
    most_copies: int = 4


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the cell as a whole says about one chromosome."""

    class_id: int | None
    """1..24, or None if it fits nothing."""
    score: float
    """Probability of ``class_id`` given what the rest of the cell leaves of it, 0..1; 0 if it fits nothing."""


def assign(
    log_probabilities: Sequence[Floats] | Floats, scores: Sequence[float] | None = None, prior: Prior | None = None
) -> tuple[Assigned, ...]:
    """Assign the chromosomes of one cell to classes.

    Args:
        log_probabilities: (24,) for each chromosome, as :mod:`karyotyping.classification` gives them.
        scores: probability that each is one whole chromosome; the less likely, the easier it is to fit nothing.
        prior: costs of departing from a normal cell.
    """
    evidence = np.asarray(log_probabilities, dtype=np.float64).reshape(-1, CLASSES)
    if not len(evidence):
        return ()
    prior = prior or Prior()
    whole = np.ones(len(evidence)) if scores is None else np.clip(np.asarray(scores, dtype=np.float64), 1e-3, 1.0)
    nothing = prior.nothing + np.log(whole)
    solutions = [_solve(evidence, nothing, normal, prior) for normal in (_normal_copies(2, 0), _normal_copies(1, 1))]
    _, chosen, room = min(solutions, key=lambda solution: solution[0])
    shares = _shares(evidence, room)
    return tuple(
        Assigned(int(class_index) + 1, float(share[class_index])) if class_index < CLASSES else Assigned(None, 0.0)
        for class_index, share in zip(chosen, shares, strict=True)
    )


def _normal_copies(of_x: int, of_y: int) -> NDArray[np.int64]:
    copies = np.full(CLASSES, 2)
    copies[[X - 1, Y - 1]] = of_x, of_y
    return copies


def _solve(
    evidence: Floats, nothing: Floats, normal: NDArray[np.int64], prior: Prior
) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
    """Cost of the best whole, (N,) class index of each chromosome (24: none), (24,) room that the classes have."""
    n = len(evidence)
    slot_class = np.repeat(np.arange(CLASSES), prior.most_copies)
    is_normal = np.tile(np.arange(prior.most_copies), CLASSES) < normal[slot_class]
    # A filled normal slot saves the loss that it costs empty; that makes the problem one of plain assignment.
    slot_cost = np.where(is_normal, -prior.loss, prior.gain)
    fits_nothing = np.full((n, n), np.inf)
    np.fill_diagonal(fits_nothing, nothing)
    cost = np.concatenate([slot_cost - evidence[:, slot_class], fits_nothing], axis=1)
    rows, columns = linear_sum_assignment(cost)
    chosen = np.append(slot_class, np.full(n, CLASSES))[columns]
    held = np.bincount(chosen, minlength=CLASSES + 1)[:CLASSES]
    return float(cost[rows, columns].sum()) + prior.loss * float(normal.sum()), chosen, np.maximum(held, normal)


def _shares(evidence: Floats, room: NDArray[np.int64]) -> Floats:
    """(N, 24) probabilities of the classes when no class may take more than its room, by iterative scaling.

    Two look-alike classes that could be swapped at no cost share each other's chromosomes, and so none of them is sure.
    """
    shares: Floats = np.exp(evidence - evidence.max(axis=1, keepdims=True))
    for _ in range(_SCALING_ROUNDS):
        shares /= shares.sum(axis=1, keepdims=True)
        shares *= np.minimum(1.0, room / np.maximum(shares.sum(axis=0), 1e-12))
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    return shares
