"""What a case knows of one analysed image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self, TypedDict, Unpack

from karyotyping.model import MIN_CLASS_SCORE, CellAnalysis
from karyotyping.nomenclature.iscn import format_iscn, is_incomplete

MIN_COMPLETE_COUNT = 41  # chromosomes of a complete cell; fewer are a cell in part
_MAX_DOUBT = (1 - MIN_CLASS_SCORE) / MIN_CLASS_SCORE  # odds of another class, of a class that people are to check
_MIN_SCORE = 0.05  # of an assigned class or an outline; bounds the odds against it at 19

ClassEvidence = tuple[int | None, float, Sequence[tuple[int, float]], float, bool]
"""Class of a chromosome, its probability, the likeliest classes before assignment with theirs, score of the outline,
and whether it touches another chromosome."""


class CellFacts(TypedDict, total=False):
    """What a case knows of a cell besides its chromosomes; see ``CellSummary``."""

    culture: str | None
    colony: str | None
    band_level: int | None
    outline_edits: float | None
    class_edits: float | None
    unexplained_objects: int | None


@dataclass(frozen=True, slots=True)
class CellSummary:
    """Copies, doubts and quality of one analysed image."""

    analysis_id: int
    class_counts: Mapping[int, int]
    """Copies by class id."""
    chromosome_count: int
    """Includes chromosomes without a class."""
    quality_score: float
    """0..1."""
    called: bool = True
    """Whether the cell has a karyotype; an image that is no metaphase has none."""
    doubts: Mapping[tuple[int, int], float] = field(default_factory=dict)
    """Odds that a chromosome of the first class is one of the second, summed over chromosomes; see :func:`doubts`."""
    outline_doubts: Mapping[int, float] = field(default_factory=dict)
    """Mean odds that a chromosome of a class is none, by class id; see :func:`outline_doubts`. Empty if unknown."""
    culture: str | None = None
    """Culture that it was grown in; None if not recorded."""
    colony: str | None = None
    """Colony of an in situ culture, named within its culture; None if not recorded."""
    band_level: int | None = None
    """Bands per haploid set that it resolves; None if unknown."""
    outline_edits: float | None = None
    """Expected chromosomes that are missed or falsely found; None if not predicted."""
    class_edits: float | None = None
    """Expected chromosomes of a wrong class; None if not predicted."""
    unexplained_objects: int | None = None
    """Objects of the image that may be chromosomes, and are none in the result; None if not measured."""
    touching: int | None = None
    """Chromosomes that touch others, behind which more may be hidden; None if not measured."""

    @classmethod
    def of(cls, analysis_id: int, cell: CellAnalysis) -> Self:
        """Return the summary of ``cell``."""
        return cls(
            analysis_id,
            cell.class_counts,
            len(cell.chromosomes),
            cell.quality.score,
            called=cell.iscn is not None,
            doubts=doubts((item.class_id, item.class_score, item.top5) for item in cell.chromosomes),
            outline_doubts=outline_doubts((item.class_id, item.score) for item in cell.chromosomes),
            band_level=cell.quality.band_level,
            outline_edits=cell.quality.outline_edits,
            class_edits=cell.quality.class_edits,
            unexplained_objects=cell.quality.unexplained_objects,
            touching=sum("touching" in item.flags for item in cell.chromosomes),
        )

    @classmethod
    def of_classes(
        cls,
        analysis_id: int,
        chromosomes: Sequence[ClassEvidence],
        *,
        quality_score: float,
        called: bool,
        **facts: Unpack[CellFacts],
    ) -> Self:
        """Return the summary of a stored cell from the classes of its chromosomes."""
        counts = Counter(class_id for class_id, *_ in chromosomes if class_id is not None)
        odds = doubts((class_id, score, likeliest) for class_id, score, likeliest, *_ in chromosomes)
        outlines = outline_doubts((class_id, outline_score) for class_id, _, _, outline_score, _ in chromosomes)
        touching = sum(touches for *_, touches in chromosomes)
        count = len(chromosomes)
        return cls(analysis_id, counts, count, quality_score, called, odds, outlines, touching=touching, **facts)

    @property
    def expected_edits(self) -> float | None:
        """Expected chromosomes to correct; None if not predicted."""
        if self.outline_edits is None or self.class_edits is None:
            return None
        return self.outline_edits + self.class_edits

    @property
    def unidentified(self) -> int:
        """Chromosomes without a class."""
        return self.chromosome_count - sum(self.class_counts.values())

    @property
    def uncertain_classes(self) -> frozenset[int]:
        """Class ids of which a chromosome may well have another one.

        >>> CellSummary(1, {21: 2}, 46, 0.9, doubts={(21, 22): 0.2, (21, 20): 0.1, (1, 2): 0.2}).uncertain_classes
        frozenset({21})
        """
        odds: dict[int, float] = defaultdict(float)
        for (class_id, _), share in self.doubts.items():
            odds[class_id] += share
        return frozenset(class_id for class_id, total in odds.items() if total > _MAX_DOUBT)

    @property
    def votes(self) -> bool:
        """Whether the cell is called and complete."""
        return self.called and self.chromosome_count >= MIN_COMPLETE_COUNT

    @property
    def incomplete(self) -> bool:
        """Whether the cell may have a chromosome that its karyotype lacks."""
        return is_incomplete(
            self.class_counts, unidentified=self.unidentified, unexplained=self.unexplained_objects or 0
        )

    @property
    def iscn(self) -> str:
        """Karyotype as counted, that of the image of the cell."""
        return format_iscn(self.class_counts, unidentified=self.unidentified, unexplained=self.unexplained_objects or 0)


def doubts(
    chromosomes: Iterable[tuple[int | None, float, Sequence[tuple[int, float]]]],
) -> dict[tuple[int, int], float]:
    """Return the odds that chromosomes have another class than the assigned one.

    The probability that the assigned class lacks is shared by the other likeliest classes, in their proportions.

    Args:
        chromosomes: assigned class id, its probability, and the likeliest classes before assignment with theirs.

    Returns:
        Odds by assigned class and other class, summed over chromosomes.

    >>> doubts([(21, 0.8, [(21, 0.7), (22, 0.2)])])
    {(21, 22): 0.25}
    """
    odds: dict[tuple[int, int], float] = defaultdict(float)
    for class_id, score, likeliest in chromosomes:
        others = {other: share for other, share in likeliest if other != class_id}
        total = sum(others.values())
        if class_id is None or not total:
            continue
        bounded = max(score, _MIN_SCORE)
        for other, share in others.items():
            odds[class_id, other] += round((1 - bounded) / bounded * share / total, 6)
    return dict(odds)


def outline_doubts(chromosomes: Iterable[tuple[int | None, float]]) -> dict[int, float]:
    """Return the mean odds that a chromosome of a class is none.

    Args:
        chromosomes: assigned class id and score of the outline, 0..1.

    Returns:
        Odds by class id.

    >>> outline_doubts([(21, 0.8), (21, 0.5), (None, 0.3)])
    {21: 0.625}
    """
    odds: dict[int, list[float]] = defaultdict(list)
    for class_id, score in chromosomes:
        if class_id is not None:
            bounded = max(score, _MIN_SCORE)
            odds[class_id].append((1 - bounded) / bounded)
    return {class_id: round(sum(own) / len(own), 6) for class_id, own in odds.items()}
