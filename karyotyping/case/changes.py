"""Numerical abnormalities of a clone: what it has more or less than a normal cell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from karyotyping.arrays import Ints
from karyotyping.nomenclature.classes import CLASS_COUNT, X, Y, class_name
from karyotyping.nomenclature.iscn import ploidy_of

PLOIDY_NAMES = {3: "triploid", 4: "tetraploid"}

_RECURRENT_GAINS = (8, 13, 18, 21, X, Y)  # trisomies at birth, and +8
_RECURRENT_LOSSES = (X, Y)
_EVENT = 0.003  # prior probability of one given gain, or of a change of the ploidy level
_LOSS = 0.0005  # the same of the loss of a given autosome, which is lethal at birth and rare alone in bone marrow
_RECURRENT_EVENT = 0.01  # the same of the common aneuploidies at birth and in bone marrow
_GAIN_COST = -np.log([_RECURRENT_EVENT if k in _RECURRENT_GAINS else _EVENT for k in range(1, CLASS_COUNT + 1)])
_LOSS_COST = -np.log([_RECURRENT_EVENT if k in (7, X, Y) else _LOSS for k in range(1, CLASS_COUNT + 1)])


class Change(NamedTuple):
    """One numerical abnormality."""

    class_id: int | None
    """1..24; None for a whole set of chromosomes."""
    copies: int
    """Copies gained, or lost if negative; for a whole set the ploidy level."""

    @property
    def is_gain(self) -> bool:
        """Whether two cells with it make a clone; a loss takes three."""
        return self.copies > 0

    @property
    def is_recurrent(self) -> bool:
        """Whether one cell with it is a reason to count more."""
        return abs(self.copies) == 1 and self.class_id in (_RECURRENT_GAINS if self.is_gain else _RECURRENT_LOSSES)

    def __str__(self) -> str:
        """Return the text, as ``+21``."""
        if self.class_id is None:
            return PLOIDY_NAMES[self.copies]
        return ",".join([f"{'+' if self.is_gain else '-'}{class_name(self.class_id)}"] * abs(self.copies))


def normal_copies(sex: str, ploidy: int = 2) -> Ints:
    """Return (24,) copies of a cell without gains and losses.

    >>> normal_copies("XY")[[0, 22, 23]].tolist()
    [2, 1, 1]
    """
    copies = np.full(CLASS_COUNT, ploidy)
    copies[X - 1], copies[Y - 1] = sex.count("X"), sex.count("Y")
    return copies


def sex_of(copies: Ints) -> str:
    """Return the sex complement, as ``XXY``."""
    return "X" * int(copies[X - 1]) + "Y" * int(copies[Y - 1])


def reference_sex(clones: Iterable[Ints]) -> str:
    """Return the sex complement that clones depart from: XY if any of them has a Y, else XX.

    >>> reference_sex([normal_copies("X"), normal_copies("XY")])
    'XY'
    """
    return "XY" if any(copies[Y - 1] for copies in clones) else "XX"


def changes_of(copies: Ints, sex: str) -> tuple[Change, ...]:
    """Return the abnormalities of a clone: sex chromosomes, then autosomes.

    A diploid clone departs from ``sex``, a polyploid one from any complement of its level. 46,XX and 46,XY have none.

    Args:
        copies: (24,) by class.
        sex: XX or XY.

    >>> [str(change) for change in changes_of(normal_copies("X"), "XY")]
    ['-Y']
    """
    ploidy = ploidy_of(int(copies.sum()))
    usual = np.full(CLASS_COUNT, ploidy)
    if sex_of(copies) in ("XX", "XY") and ploidy == 2:
        sex = sex_of(copies)
    own_y = int(copies[Y - 1])
    usual[Y - 1] = sex.count("Y") if ploidy == 2 else min(own_y, ploidy - 1)
    usual[X - 1] = ploidy - usual[Y - 1]
    order = (X - 1, Y - 1, *range(X - 1))
    named = tuple(Change(k + 1, int(copies[k] - usual[k])) for k in order if copies[k] != usual[k])
    return named if ploidy == 2 else (Change(None, ploidy), *named)


def log_prior_of_events(copies: Ints, other: Ints) -> float:
    """Return the log prior probability of the events that lead from one clone to another.

    Every copy gained or lost is an event, and so is a change of the ploidy level. Autosomes are rarely lost.

    >>> round(float(np.exp(log_prior_of_events(normal_copies("XX"), normal_copies("XXX", 3)))), 3)
    0.003
    """
    ploidy, base = ploidy_of(int(copies.sum())), ploidy_of(int(other.sum()))
    gained = (other - base) - (copies - ploidy)
    if ploidy == base:
        return -_cost(gained)
    gained[X - 1], gained[Y - 1] = gained[X - 1 :].sum() + base - ploidy, 0  # any sex complement of the level
    return float(np.log(_EVENT)) - _cost(gained)


def _cost(gained: Ints) -> float:
    return float(np.maximum(gained, 0) @ _GAIN_COST + np.maximum(-gained, 0) @ _LOSS_COST)


def has_swap(changes: Sequence[Change], groups: Ints) -> bool:
    """Return whether a gain and a loss are of one Denver group, as in a systematic misreading.

    Args:
        changes: of one clone.
        groups: (24,) group by class.
    """
    gained = {int(groups[one.class_id - 1]) for one in changes if one.class_id and one.copies > 0}
    lost = {int(groups[one.class_id - 1]) for one in changes if one.class_id and one.copies < 0}
    return bool(gained & lost)
