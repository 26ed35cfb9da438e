"""Probability of the copies found in a cell, given those of its clone.

A chromosome is lost, is read as another class, or arrives as extra. The copies found differ from those of the clone by
lacking and surplus units. Every way to pair lacking with surplus units as misreadings counts; units without a partner
are lost or extra. The sum over all ways is exact, by dynamic programming over the number of surplus units of each class
that have a partner. Errors that cancel within a class, such as a lost and an extra 21, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lgamma, prod

import numpy as np
from numpy.typing import ArrayLike

from karyotyping.arrays import Floats, Ints
from karyotyping.case.cell import CellSummary
from karyotyping.case.rates import COLUMNS, UNKNOWN, ErrorRates
from karyotyping.nomenclature.classes import CLASS_COUNT, X, Y
from karyotyping.nomenclature.iscn import ploidy_of

_MAX_STATES = 1024  # numbers of surplus units with a partner, over all classes; more make the clone impossible
_MAX_RATE = 0.5  # of one kind of error
_MIN_KEPT = 0.05  # probability that a chromosome is found with its class
_IMPOSSIBLE = -1e3  # log probability
_DEPARTURE = (0.6, 0.15, 0.04, 0.01)
"""Probability of 0, 1, 2, 3 copies more or fewer of a class in an unrelated or unreadable cell."""


def copies_found(cell: CellSummary) -> Ints:
    """Return (25,) copies by class, then the chromosomes without a class."""
    copies = np.zeros(COLUMNS, np.int64)
    for class_id, number in cell.class_counts.items():
        copies[class_id - 1] = number
    copies[UNKNOWN] = cell.unidentified
    return copies


def cell_likelihoods(cell: CellSummary, clones: Sequence[Ints], rates: ErrorRates, levels: ArrayLike) -> Floats:
    """Return the log probability of the copies found, for every clone and level of error.

    Args:
        cell: the result of one image.
        clones: (C,) arrays (24,) of copies by class.
        rates: at level 1.
        levels: (L, 2) factors of the rates of lost chromosomes, and of the other rates.

    Returns:
        (C, L) natural logarithms.
    """
    found = copies_found(cell)
    scaled = _Scaled(rates, cell, *np.asarray(levels, float).T)
    return np.array([_log_probability(found, clone, scaled, cell.doubts) for clone in clones])


class _Scaled:
    """Error rates of one cell at L levels."""

    def __init__(self, rates: ErrorRates, cell: CellSummary, losses: Floats, levels: Floats) -> None:
        factors = rates.of_cell(cell)
        outlines, classes = factors.outlines * levels, factors.classes * levels
        self.lost = np.minimum(rates.lost_by_class()[:, None] * factors.lost * losses, _MAX_RATE)  # (24, L)
        misread = rates.misread_by_class()[:, :, None]
        self.misread = np.minimum(misread * classes, _MAX_RATE)  # (24, 25, L)
        self.misread[:, UNKNOWN] = np.minimum(misread[:, UNKNOWN] * np.maximum(outlines, classes), _MAX_RATE)
        self.kept = np.maximum(1 - self.lost - self.misread.sum(axis=1), _MIN_KEPT)  # (24, L)
        self.extra = rates.extra_by_column()[:, None] * outlines  # (25, L)
        # The scores of the outlines say more of an extra chromosome than the cell does.
        self.unpaired = self.extra.copy()
        for class_id, odds in cell.outline_doubts.items():
            factor = rates.of_outlines(odds, factors.outlines)
            self.unpaired[class_id - 1] = rates.extra_by_column()[class_id - 1] * factor * levels


def _log_probability(found: Ints, clone: Ints, rates: _Scaled, doubts: Mapping[tuple[int, int], float]) -> Floats:
    """Return (L,) log probabilities of one clone; see :func:`cell_likelihoods`."""
    change = found - np.append(clone, 0)
    lacking = [(int(c), unit) for c in np.flatnonzero(change < 0) for unit in range(-change[c])]
    surplus = [(int(d), int(change[d])) for d in np.flatnonzero(change > 0)]
    states = tuple(units + 1 for _, units in surplus)
    if prod(states) > _MAX_STATES:
        return np.full(rates.extra.shape[1], _IMPOSSIBLE)
    result = clone @ np.log(rates.kept) - rates.extra.sum(axis=0) - sum(lgamma(abs(int(n)) + 1) for n in change)
    # ways[s] sums over the lacking units so far; s has the number of surplus units with a partner, by class.
    ways = np.zeros((*states, rates.extra.shape[1]))
    ways.reshape(-1, rates.extra.shape[1])[0] = 1.0
    for c, unit in lacking:
        odds = (clone[c] - unit) / rates.kept[c]
        new = ways * odds * rates.lost[c]
        for axis, (d, units) in enumerate(surplus):
            weight = odds * rates.misread[c, d] + (doubts.get((d + 1, c + 1), 0.0) if unit == 0 else 0.0)
            earlier, later = np.moveaxis(ways, axis, -2), np.moveaxis(new, axis, -2)
            later[..., 1:, :] += earlier[..., :-1, :] * (units - np.arange(units))[:, None] * weight
        ways = new
    for d, units in reversed(surplus):  # the last axis of classes first: those without a partner are extra
        ways = (ways * rates.unpaired[d] ** (units - np.arange(units + 1))[:, None]).sum(axis=-2)
    logs: Floats = result + np.log(np.maximum(ways, 1e-300))
    return logs


def background_likelihood(cell: CellSummary) -> float:
    """Return the log probability of the copies found in an unrelated or unreadable cell.

    Each class departs from the nearer of XX and XY on its own, at the nearest ploidy level of the count.
    """
    found = copies_found(cell)
    ploidy = ploidy_of(cell.chromosome_count)
    usual = np.full(CLASS_COUNT, ploidy)
    usual[Y - 1] = min(found[Y - 1], ploidy - 1)
    usual[X - 1] = ploidy - usual[Y - 1]
    departures = np.append(np.abs(found[:CLASS_COUNT] - usual), found[UNKNOWN])
    capped = np.minimum(departures, len(_DEPARTURE) - 1)
    return float(np.log(np.array(_DEPARTURE))[capped].sum() - (departures - capped).sum())
