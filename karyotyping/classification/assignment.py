"""Assignment of the chromosomes of a cell to classes, with costs for abnormal counts.

Every class offers slots: those of a normal cell, and further ones at a cost, so that strong evidence can fill a third
slot of a trisomy. An empty normal slot has a cost too, which decreases with the number of missing chromosomes. A
chromosome may also be assigned to no class. The Hungarian method (:func:`scipy.optimize.linear_sum_assignment`) finds
the cheapest assignment for each sex-chromosome complement of a normal cell. The probability of a chromosome's class
follows from the costs of the cheapest assignments that place it elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import logit, softmax

from karyotyping.arrays import Floats, Ints
from karyotyping.nomenclature.classes import CLASS_COUNT, NORMAL_COUNT, X, Y

_NO_CLASS = CLASS_COUNT  # node of chromosomes without a class
_EMPTY_SLOT = CLASS_COUNT + 1  # node that opens and closes slots
_MIN_SCORE = 1e-4  # scores are clipped to [1e-4, 1 - 1e-4] before the log odds


@dataclass(frozen=True, slots=True)
class CopyNumberPrior:
    """Costs of departures from a normal cell, in nats except for the counts and ``doubt``."""

    gain: float = 2.5
    """Cost of each copy beyond the normal ones."""
    expected_losses: float = 1.0
    """Pseudo-count of lost chromosomes; a loss costs less, the more chromosomes are missing."""
    no_class: float = 1.5
    """Cost of a chromosome without a class, at a score of 0.5."""
    doubt: float = 0.5
    """Weight, 0..1, of log odds below 0: whole chromosomes in contacts and overlaps often have low scores."""
    max_copies: int = 4
    """Slots of each class."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """Class of one chromosome given its whole cell."""

    class_id: int | None
    """1..24, or None without a class."""
    score: float
    """Probability of ``class_id`` given the rest of the cell, 0..1; 0 without a class."""


@dataclass(frozen=True, slots=True)
class _CellAssignment:
    """The cheapest assignment of a cell for one sex-chromosome complement."""

    cost: float
    chosen: Ints
    """(N,) class index of each chromosome, or ``_NO_CLASS``."""
    slots: Floats
    """(24, C) cost of the first, second, ... copy of each class."""


def assign(
    log_probabilities: Sequence[Floats] | Floats,
    scores: Sequence[float] | None = None,
    prior: CopyNumberPrior | None = None,
) -> tuple[Assignment, ...]:
    """Assign the chromosomes of one cell to classes.

    Args:
        log_probabilities: (N, 24) of the classes, from a classifier.
        scores: (N,) probability that each is one whole chromosome, 0..1; low scores favour no class. Default: 1.
        prior: costs of departures from a normal cell.

    Returns:
        (N,) assignments in the order of ``log_probabilities``.
    """
    evidence = np.asarray(log_probabilities, dtype=np.float64).reshape(-1, CLASS_COUNT)
    if not len(evidence):
        return ()
    prior = prior or CopyNumberPrior()
    whole = np.ones(len(evidence)) if scores is None else np.asarray(scores, dtype=np.float64)
    costs = np.column_stack([-evidence, _no_class_costs(whole, prior)])
    presence = _presence_log_odds(float(whole.sum()), prior)
    complements = (_normal_copies(2, 0), _normal_copies(1, 1))
    assignments = [_cheapest(costs, _slot_costs(copies, presence, prior)) for copies in complements]
    alternatives = np.min([item.cost + _alternative_costs(costs, item) for item in assignments], axis=0)
    probabilities = softmax(-alternatives, axis=1)
    chosen = min(assignments, key=lambda item: item.cost).chosen
    return tuple(
        Assignment(int(k) + 1, float(row[k])) if k < CLASS_COUNT else Assignment(None, 0.0)
        for k, row in zip(chosen, probabilities, strict=True)
    )


def _normal_copies(x: int, y: int) -> Ints:
    """Return the copies (24,) of a normal cell with these sex chromosomes."""
    copies = np.full(CLASS_COUNT, 2)
    copies[[X - 1, Y - 1]] = x, y
    return copies


def _no_class_costs(whole: Floats, prior: CopyNumberPrior) -> Floats:
    """Return the costs (N,) of no class, from the probabilities (N,) of a whole chromosome."""
    log_odds = logit(np.clip(whole, _MIN_SCORE, 1 - _MIN_SCORE))
    costs: Floats = prior.no_class + np.where(log_odds < 0, prior.doubt * log_odds, log_odds)
    return costs


def _presence_log_odds(present: float, prior: CopyNumberPrior) -> float:
    """Return the log odds that a normal copy is present (Laplace's rule of succession).

    Args:
        present: expected number of chromosomes of the cell.
        prior: its ``expected_losses`` are the pseudo-count.
    """
    missing = float(np.clip(NORMAL_COUNT - present, 0, NORMAL_COUNT - 1))
    return float(np.log((NORMAL_COUNT - missing) / (missing + prior.expected_losses)))


def _slot_costs(normal: Ints, presence: float, prior: CopyNumberPrior) -> Floats:
    """Return the costs (24, C) of the copies of each class, increasing along the copies.

    Each of the n normal copies is present with log odds ``presence``, independently of the others. The count is
    binomial, so losing both copies of one class is less probable than losing one copy of two classes.
    """
    copy, n = np.arange(prior.max_copies)[None, :], normal[:, None]
    return np.where(copy < n, -presence - np.log(np.maximum(n - copy, 1) / (copy + 1)), prior.gain)


def _cheapest(costs: Floats, slots: Floats) -> _CellAssignment:
    """Return the cheapest assignment for ``costs`` (N, 25) of each class and of no class."""
    count, max_copies = len(costs), slots.shape[1]
    slot_class = np.repeat(np.arange(CLASS_COUNT), max_copies)
    no_class = np.full((count, count), np.inf)
    np.fill_diagonal(no_class, costs[:, _NO_CLASS])
    matrix = np.concatenate([slots.ravel() + costs[:, slot_class], no_class], axis=1)
    rows, columns = linear_sum_assignment(matrix)
    chosen = np.append(slot_class, np.full(count, _NO_CLASS))[columns]
    return _CellAssignment(float(matrix[rows, columns].sum()), chosen, slots)


def _alternative_costs(costs: Floats, cheapest: _CellAssignment) -> Floats:
    """Return the extra cost (N, 25) of placing a chromosome in each class, or in none.

    The move leaves one member too many in the new class and one too few in the old. The excess passes from class to
    class, by moving a member or by opening one slot and closing another, along the shortest path (Floyd 1962, DOI
    10.1145/367766.368168).
    """
    count, max_copies = len(costs), cheapest.slots.shape[1]
    chosen, classes = cheapest.chosen, np.arange(CLASS_COUNT)
    moves = costs - costs[np.arange(count), chosen][:, None]
    members = np.bincount(chosen, minlength=CLASS_COUNT + 1)[:CLASS_COUNT]
    steps = np.full((CLASS_COUNT + 2, CLASS_COUNT + 2), np.inf)
    np.minimum.at(steps[:, : CLASS_COUNT + 1], chosen, moves)
    next_slot = cheapest.slots[classes, np.minimum(members, max_copies - 1)]
    last_slot = cheapest.slots[classes, np.maximum(members - 1, 0)]
    steps[:CLASS_COUNT, _EMPTY_SLOT] = np.where(members < max_copies, next_slot, np.inf)
    steps[_EMPTY_SLOT, :CLASS_COUNT] = np.where(members > 0, -last_slot, np.inf)
    steps[_NO_CLASS, _EMPTY_SLOT] = steps[_EMPTY_SLOT, _NO_CLASS] = 0.0
    np.fill_diagonal(steps, 0.0)
    for via in range(CLASS_COUNT + 2):
        steps = np.minimum(steps, steps[:, via, None] + steps[None, via, :])
    alternatives: Floats = moves + steps[: CLASS_COUNT + 1, chosen].T
    return alternatives
