"""The chromosomes of a cell assigned to classes together, without hiding an aneuploidy.

Every class offers slots: its normal ones, and more that cost something, so that evidence can buy a trisomy. A normal
slot that stays empty costs something too, and is not refused either: the less, the more chromosomes are missing from
the cell anyway. Beside its class, every chromosome has the choice of fitting nothing. The cheapest whole is found by
the Hungarian method (:func:`scipy.optimize.linear_sum_assignment`), once for each sex-chromosome complement that is
free of cost. How sure a chromosome's class is shows in what the cheapest whole would cost that puts it elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import softmax

from karyotyping.arrays import Floats, Ints
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT, X, Y

CLASSES = len(CLASS_NAMES)
_NOTHING, _EMPTY = CLASSES, CLASSES + 1
"""Where else a chromosome may go, and where slots come from."""
_CERTAIN = 1e-4


@dataclass(frozen=True, slots=True)
class CopyNumberPrior:
    """What departures from a normal cell cost, in nats (units of log-probability)."""

    gain: float = 2.5
    """Each copy beyond the normal ones."""
    expected_losses: float = 1.0
    """Chromosomes that a cell is thought to have lost beside those that it evidently lacks: the more are lost, the less
    each costs. It counts, it is not in nats."""
    no_class: float = 1.0
    """A chromosome that fits no class, if it is as likely to be none as to be one."""
    max_copies: int = 4


@dataclass(frozen=True, slots=True)
class Assignment:
    """What the cell as a whole says about one chromosome."""

    class_id: int | None
    """1..24, or None if it fits nothing."""
    score: float
    """Probability of ``class_id`` given the rest of the cell, 0..1; 0 if it fits nothing."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The cheapest whole for one sex-chromosome complement."""

    cost: float
    chosen: Ints
    """(N,) class index of each chromosome, or ``_NOTHING``."""
    slots: Floats
    """(24, most copies) cost of the first, second, ... copy of each class."""


def assign(
    log_probabilities: Sequence[Floats] | Floats,
    scores: Sequence[float] | None = None,
    prior: CopyNumberPrior | None = None,
) -> tuple[Assignment, ...]:
    """Assign the chromosomes of one cell to classes.

    Args:
        log_probabilities: (24,) for each chromosome, as :mod:`karyotyping.classification.band_matching` gives them.
        scores: probability that each is one whole chromosome; the less likely, the easier it is to fit nothing.
        prior: costs of departing from a normal cell.
    """
    evidence = np.asarray(log_probabilities, dtype=np.float64).reshape(-1, CLASSES)
    if not len(evidence):
        return ()
    prior = prior or CopyNumberPrior()
    whole = np.ones(len(evidence)) if scores is None else np.asarray(scores, dtype=np.float64)
    sure = np.clip(whole, _CERTAIN, 1 - _CERTAIN)
    costs = np.column_stack([-evidence, prior.no_class + np.log(sure / (1 - sure))])
    loss = _loss(float(whole.sum()), prior)
    wholes = [_cheapest(costs, _slots(copies, loss, prior)) for copies in (_normal(2, 0), _normal(1, 1))]
    elsewhere = np.min([it.cost + _detours(costs, it) for it in wholes], axis=0)
    probabilities = softmax(-elsewhere, axis=1)
    chosen = min(wholes, key=lambda it: it.cost).chosen
    return tuple(
        Assignment(int(k) + 1, float(shares[k])) if k < CLASSES else Assignment(None, 0.0)
        for k, shares in zip(chosen, probabilities, strict=True)
    )


def _normal(of_x: int, of_y: int) -> Ints:
    copies = np.full(CLASSES, 2)
    copies[[X - 1, Y - 1]] = of_x, of_y
    return copies


def _loss(present: float, prior: CopyNumberPrior) -> float:
    """Log-odds that a normal copy is there, by how many chromosomes are (Laplace's rule of succession)."""
    missing = float(np.clip(NORMAL_COUNT - present, 0, NORMAL_COUNT - 1))
    return float(np.log((NORMAL_COUNT - missing) / (missing + prior.expected_losses)))


def _slots(normal: Ints, loss: float, prior: CopyNumberPrior) -> Floats:
    """Costs of the copies of each class, (24, most copies), rising from one to the next.

    Each of the n normal copies is there with odds of exp(``loss``), whatever the others do: the count is binomial, so
    that losing both of a pair is less likely than losing one of each of two. A filled slot saves its loss.
    """
    copy, n = np.arange(prior.max_copies)[None, :], normal[:, None]
    return np.where(copy < n, -loss - np.log(np.maximum(n - copy, 1) / (copy + 1)), prior.gain)


def _cheapest(costs: Floats, slots: Floats) -> _Whole:
    """The cheapest whole, of (N, 25) ``costs`` of each class and of nothing."""
    count, most = len(costs), slots.shape[1]
    slot_class = np.repeat(np.arange(CLASSES), most)
    fits_nothing = np.full((count, count), np.inf)
    np.fill_diagonal(fits_nothing, costs[:, _NOTHING])
    matrix = np.concatenate([slots.ravel() + costs[:, slot_class], fits_nothing], axis=1)
    rows, columns = linear_sum_assignment(matrix)
    chosen = np.append(slot_class, np.full(count, _NOTHING))[columns]
    return _Whole(float(matrix[rows, columns].sum()), chosen, slots)


def _detours(costs: Floats, whole: _Whole) -> Floats:
    """(N, 25) how much dearer the cheapest whole is that puts a chromosome there instead.

    Where it comes is then one too many, where it was is one too few. The excess is passed on from class to class by
    moving a member, or by opening a slot in one and closing one in another, along the shortest path (Floyd 1962).
    """
    count, most = len(costs), whole.slots.shape[1]
    chosen, places = whole.chosen, np.arange(CLASSES)
    moves = costs - costs[np.arange(count), chosen][:, None]
    held = np.bincount(chosen, minlength=CLASSES + 1)[:CLASSES]
    steps = np.full((CLASSES + 2, CLASSES + 2), np.inf)
    np.minimum.at(steps[:, : CLASSES + 1], chosen, moves)
    opened, closed = whole.slots[places, np.minimum(held, most - 1)], whole.slots[places, np.maximum(held - 1, 0)]
    steps[:CLASSES, _EMPTY] = np.where(held < most, opened, np.inf)
    steps[_EMPTY, :CLASSES] = np.where(held > 0, -closed, np.inf)
    steps[_NOTHING, _EMPTY] = steps[_EMPTY, _NOTHING] = 0.0
    np.fill_diagonal(steps, 0.0)
    for via in range(CLASSES + 2):
        steps = np.minimum(steps, steps[:, via, None] + steps[None, via, :])
    back: Floats = moves + steps[: CLASSES + 1, chosen].T
    return back
