"""Classes whose bands are atypical in more cells of a case than chance explains."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import comb

_CHANCE = 0.02  # share of normal cells with a flag of one class, 0..1; it is below 0.01 on average
_MAX_FALSE_CASES = 0.05  # normal cases in which a class recurs by chance, 0..1
_CLASSES = 24
_MIN_CELLS = 2  # with the flag; a single cell says nothing about a case


def recurrent_classes(flagged: Mapping[int, Collection[int]], cells: int) -> tuple[int, ...]:
    """Return the classes that are atypical in more cells than chance explains.

    Args:
        flagged: cells with a flag, by class id.
        cells: number of cells that were compared.

    Returns:
        Class ids in increasing order.

    >>> recurrent_classes({9: {1, 4, 5}, 21: {2}}, cells=10)
    (9,)
    """
    return tuple(
        class_id
        for class_id, own in sorted(flagged.items())
        if len(own) >= _MIN_CELLS and _CLASSES * _tail(len(own), cells) < _MAX_FALSE_CASES
    )


def _tail(found: int, cells: int) -> float:
    """Return the probability of at least ``found`` of ``cells`` by chance."""
    return sum(comb(cells, k) * _CHANCE**k * (1 - _CHANCE) ** (cells - k) for k in range(found, cells + 1))
