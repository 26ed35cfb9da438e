"""Expected edits of a cell: how many chromosomes a person will have to correct.

An edit is a chromosome that is missed, falsely found, or of a wrong class. The weights were fitted by ridge regression
with weights of at least 0 (``benchmarks/accuracy/cell_ranking.py``, which also has the figures on images that were not
fitted). The number of chromosomes is evidence only where it is no cell's: ranking by the distance to 46 would hide
abnormal cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from karyotyping.model import Chromosome

_MIN_COUNT = 41  # chromosomes of a complete cell
_MAX_COUNT = 50  # chromosomes of one cell


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a result says of its own errors."""

    doubtful_outlines: float
    """Sum over the chromosomes of 1 - ``score``."""
    doubtful_classes: float
    """Sum over the chromosomes with a class of 1 - ``class_score``."""
    reassigned: int
    """Chromosomes whose class in the cell is not their likeliest one."""
    overlaps: int
    """Pairs of chromosomes that overlap."""
    missing: int
    """Chromosomes fewer than 41."""
    excess: int
    """Chromosomes more than 50."""

    @classmethod
    def of(cls, chromosomes: Sequence[Chromosome], overlaps: int) -> Evidence:
        """Return the evidence of a cell with so many ``overlaps``."""
        named = [one for one in chromosomes if one.class_id is not None]
        return cls(
            doubtful_outlines=sum(1.0 - one.score for one in chromosomes),
            doubtful_classes=sum(1.0 - one.class_score for one in named),
            reassigned=sum(one.class_id != one.top5[0][0] for one in named if one.top5),
            overlaps=overlaps,
            missing=max(0, _MIN_COUNT - len(chromosomes)),
            excess=max(0, len(chromosomes) - _MAX_COUNT),
        )


OUTLINE_WEIGHTS: dict[str, float] = {
    "cell": 0.41,
    "doubtful_outlines": 1.29,
    "doubtful_classes": 0.15,
    "overlaps": 0.03,
    "missing": 0.77,
    "excess": 0.35,
}
"""Missed and falsely found chromosomes for each unit of evidence; ``cell`` counts once."""
CLASS_WEIGHTS: dict[str, float] = {"cell": 0.1, "doubtful_classes": 0.71, "reassigned": 0.22}
"""Chromosomes of a wrong class for each unit of evidence."""


def expected_edits(evidence: Evidence) -> tuple[float, float]:
    """Return the expected edits of outlines and of classes.

    >>> outlines, classes = expected_edits(Evidence(0.5, 1.0, 0, 2, 0, 0))
    >>> 1 < outlines < 3, 0 < classes < 1
    (True, True)
    """
    values = {"cell": 1.0, **asdict(evidence)}
    outlines, classes = (
        sum(weight * values[name] for name, weight in weights.items()) for weights in (OUTLINE_WEIGHTS, CLASS_WEIGHTS)
    )
    return outlines, classes
