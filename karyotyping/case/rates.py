"""Rates of the errors between a cell and its result: lost, misread and extra chromosomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Floats, Ints
from karyotyping.nomenclature.classes import CLASS_COUNT

UNKNOWN = CLASS_COUNT  # column of chromosomes without a class
COLUMNS = CLASS_COUNT + 1  # classes 1..24 as 0..23, then unknown

GROUP_BY_CLASS: Ints = np.array([0] * 3 + [1] * 2 + [2] * 7 + [3] * 3 + [4] * 3 + [5] * 2 + [6] * 2 + [2, 6])
"""(24,) Denver group A to G of each class, 0..6."""


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Error rates of the default pipeline; tuples are by Denver group, A to G.

    Measured by ``python -m benchmarks.accuracy.case_rates`` on 48 G-band cells of ``tseng``, one a case, at a mean
    quality of 0.65, before the classifier learned from metaphase images: they are about three times the present ones.
    Lower rates would let the engine call cells that lack many chromosomes. The level of each case is estimated from its
    cells as a factor of all rates.
    """

    lost: tuple[float, ...] = (0.066, 0.021, 0.043, 0.021, 0.059, 0.052, 0.122)
    """Probability that a chromosome is missing in the result."""
    misread: tuple[float, ...] = (0.093, 0.052, 0.072, 0.035, 0.034, 0.026, 0.024)
    """Probability that a chromosome has another class."""
    extra: tuple[float, ...] = (0.076, 0.052, 0.104, 0.139, 0.104, 0.135, 0.181)
    """Chromosomes of a class in the result that are none or part of another, mean per class and cell."""
    misread_within: float = 0.32
    """Share of the misread ones that stay in their group."""
    unknown: float = 0.001
    """Probability that a chromosome has no class."""
    extra_unknown: float = 0.104
    """Extra chromosomes without a class, mean per cell."""
    reference_quality: float = 0.65
    """Quality of a cell with these rates, 0..1."""
    quality_slope: float = 2.5
    """Decrease of the logarithm of the rates per unit of quality."""

    def at_quality(self, quality: float) -> float:
        """Return the factor of the rates for a cell of this quality.

        >>> ErrorRates().at_quality(0.65)
        1.0
        """
        return float(np.exp(self.quality_slope * (self.reference_quality - quality)))

    def hidden_gain(self) -> float:
        """Return the mean probability that a cell does not show a gained chromosome.

        >>> round(ErrorRates().hidden_gain(), 2)
        0.11
        """
        return float((self.lost_by_class() + self.misread_by_class().sum(axis=1)).mean())

    def lost_by_class(self) -> Floats:
        """Return (24,) probabilities of a missing chromosome."""
        return np.array(self.lost)[GROUP_BY_CLASS]

    def extra_by_column(self) -> Floats:
        """Return (25,) mean extra chromosomes per cell; the last are without a class."""
        return np.append(np.array(self.extra)[GROUP_BY_CLASS], self.extra_unknown)

    def misread_by_class(self) -> Floats:
        """Return (24, 25) probabilities that a chromosome of the row has the class of the column."""
        same = GROUP_BY_CLASS[:, None] == GROUP_BY_CLASS[None, :]
        np.fill_diagonal(same, val=False)
        other = GROUP_BY_CLASS[:, None] != GROUP_BY_CLASS[None, :]
        spread = self.misread_within * same / same.sum(axis=1, keepdims=True)
        spread = spread + (1 - self.misread_within) * other / other.sum(axis=1, keepdims=True)
        table = np.array(self.misread)[GROUP_BY_CLASS][:, None] * spread
        return np.column_stack([table, np.full(CLASS_COUNT, self.unknown)])
