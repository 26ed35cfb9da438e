"""Rates of the errors between a cell and its result: lost, misread and extra chromosomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from karyotyping.arrays import Floats, Ints
from karyotyping.case.cell import CellSummary
from karyotyping.nomenclature.classes import CLASS_COUNT

UNKNOWN = CLASS_COUNT  # column of chromosomes without a class
COLUMNS = CLASS_COUNT + 1  # classes 1..24 as 0..23, then unknown

GROUP_BY_CLASS: Ints = np.array([0] * 3 + [1] * 2 + [2] * 7 + [3] * 3 + [4] * 3 + [5] * 2 + [6] * 2 + [2, 6])
"""(24,) Denver group A to G of each class, 0..6."""
_MIN_EDITS = 0.03  # of outlines or classes; a cell without doubts still has errors


class CellFactors(NamedTuple):
    """Factors of the error rates of one cell."""

    lost: float
    outlines: float
    """Of extra chromosomes."""
    classes: float
    """Of misread chromosomes; those without a class follow the greater of both."""


@dataclass(frozen=True, slots=True)
class ErrorRates:
    """Error rates of the default pipeline; tuples are by Denver group, A to G.

    Measured by ``python -m benchmarks.accuracy.case_rates`` on 42 G-band cells of ``tseng``, one a case, of a quality
    of 0.5 or more. Each cell has factors of its own, from its expected edits or its quality. Extra chromosomes
    follow the edits of outlines, misread ones those of classes, and chromosomes without a class the greater of both.
    Lost ones follow the edits of outlines with the objects that may be chromosomes, the edits of classes, and how many
    chromosomes touch. Their powers are of a Poisson model of 602 cells of ``tseng``, ``adir`` and simulated images,
    with a level for each set. The level of each case is estimated from its cells as a factor of all rates.
    """

    lost: tuple[float, ...] = (0.022, 0.003, 0.012, 0.022, 0.030, 0.038, 0.055)
    """Probability that a chromosome is missing in the result."""
    misread: tuple[float, ...] = (0.006, 0.003, 0.005, 0.006, 0.006, 0.003, 0.008)
    """Probability that a chromosome has another class."""
    extra: tuple[float, ...] = (0.020, 0.006, 0.025, 0.012, 0.012, 0.018, 0.020)
    """Chromosomes of a class in the result that are none or part of another, mean per class and cell."""
    misread_within: float = 0.43
    """Share of the misread ones that stay in their group."""
    unknown: float = 0.0023
    """Probability that a chromosome has no class."""
    extra_unknown: float = 0.107
    """Extra chromosomes without a class, mean per cell."""
    reference_outline_edits: float = 1.95
    """Expected edits of outlines of a cell with these rates; a cell makes about two thirds of them."""
    reference_class_edits: float = 0.5
    """Expected edits of classes of a cell with these rates."""
    edits_of_object: float = 0.43
    """Edits of outlines with as many lost chromosomes as one object that may be a chromosome."""
    reference_objects: float = 1.1
    """Such objects in a cell with these rates, mean."""
    reference_touching: float = 24.4
    """Chromosomes that touch others in a cell with these rates."""
    lost_powers: tuple[float, float, float] = (0.4, 0.35, 0.8)
    """Powers of edits of outlines with objects, edits of classes, and touching chromosomes, to which losses are
    proportional."""
    reference_quality: float = 0.75
    """Quality of a cell with these rates, 0..1."""
    quality_slope: float = 3.5
    """Decrease of the logarithm of the rates per unit of quality, for cells without expected edits."""
    outline_evidence: float = 75.0
    """How much more probable an outline's score is for an extra chromosome, per odds that it is none."""
    outline_evidence_range: tuple[float, float] = (0.06, 15.0)
    """Least and most that the score of an outline changes the rate of extra chromosomes."""

    def of_cell(self, cell: CellSummary) -> CellFactors:
        """Return the factors of a cell, from its edits, objects and contacts, else from its quality.

        >>> cell = CellSummary(1, {}, 46, 0.9, outline_edits=0.78, class_edits=0.25, touching=11)
        >>> factors = ErrorRates().of_cell(cell)
        >>> round(factors.lost, 2), factors.outlines, factors.classes
        (0.33, 0.4, 0.5)
        """
        if cell.outline_edits is None or cell.class_edits is None:
            by_quality = float(np.exp(self.quality_slope * (self.reference_quality - cell.quality_score)))
            return CellFactors(by_quality, by_quality, by_quality)
        outlines = max(_MIN_EDITS, cell.outline_edits)
        classes = max(_MIN_EDITS, cell.class_edits) / self.reference_class_edits
        objects = self.reference_objects if cell.unexplained_objects is None else cell.unexplained_objects
        touching = self.reference_touching if cell.touching is None else cell.touching
        hidden = (outlines + self.edits_of_object * objects) / (
            self.reference_outline_edits + self.edits_of_object * self.reference_objects
        )
        crowding = (1 + touching) / (1 + self.reference_touching)
        lost = float(np.prod(np.array([hidden, classes, crowding]) ** self.lost_powers))
        return CellFactors(lost, outlines / self.reference_outline_edits, classes)

    def of_outlines(self, odds: float, of_cell: float = 1.0) -> float:
        """Return the factor of the rate of extra chromosomes, from the odds of their outlines.

        Args:
            odds: mean odds that a chromosome is none.
            of_cell: factor of lost and extra chromosomes of the cell; a low one lowers the least factor.

        >>> ErrorRates().of_outlines(0.001), ErrorRates().of_outlines(1.0)
        (0.075, 15.0)
        """
        least, most = self.outline_evidence_range
        return min(most, max(least * min(1.0, of_cell), self.outline_evidence * odds))

    def hidden_gain(self) -> float:
        """Return the mean probability that a cell does not show a gained chromosome.

        >>> round(ErrorRates().hidden_gain(), 2)
        0.03
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
