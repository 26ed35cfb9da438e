"""Summary of the cells of a case: modal count, consensus karyotype, ranking of the cells.

Most differences between cells are artefacts. Chromosomes are lost when a cell bursts on the slide, overlaps hide some,
and similar classes are confused. The count of the case is therefore the mode. Cells with the modal count vote on the
copies of each class, weighted by their quality. Karyotypes that recur besides the consensus are reported as a mosaic
hint.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypedDict

from karyotyping.model import CellAnalysis
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT
from karyotyping.nomenclature.iscn import format_iscn

_MIN_WEIGHT = 0.05  # of a cell's vote, 0..1
_MIN_CELLS_WITH_GAIN = 2  # cells with the same gain that make a clone (ISCN 2020, chapter 11.1)
_MIN_CELLS_WITH_LOSS = 3  # cells with the same loss that make a clone (ISCN 2020, chapter 11.1)


@dataclass(frozen=True, slots=True)
class CellSummary:
    """Counts and quality of one analysed image."""

    analysis_id: int
    class_counts: Mapping[int, int]
    """Copies by class id."""
    chromosome_count: int
    """Includes chromosomes without a class."""
    quality_score: float
    """0..1."""

    @classmethod
    def of(cls, analysis_id: int, cell: CellAnalysis) -> Self:
        """Return the summary of ``cell``."""
        return cls(analysis_id, cell.class_counts, len(cell.chromosomes), cell.quality.score)

    @property
    def iscn(self) -> str:
        """Karyotype as counted."""
        return format_iscn(self.class_counts, unidentified=self.chromosome_count - sum(self.class_counts.values()))


@dataclass(frozen=True, slots=True)
class Clone:
    """A karyotype besides the consensus in at least the number of cells that make a clone."""

    iscn: str
    cells: int


class CloneDocument(TypedDict):
    """A ``Clone`` as JSON."""

    iscn: str
    cells: int


class CaseSummaryDocument(TypedDict):
    """A ``CaseSummary`` as JSON; numeric keys are text."""

    cell_count: int
    modal_count: int | None
    iscn: str | None
    count_distribution: dict[str, int]
    consensus: dict[str, int]
    agreement: dict[str, float]
    ranking: list[int]
    mosaic_hint: list[CloneDocument]


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """Counts, consensus karyotype and ranking of the cells of a case."""

    cell_count: int
    modal_count: int | None
    """The most frequent chromosome count, weighted by quality; None without cells."""
    iscn: str | None
    """Karyotype of the consensus; None without cells."""
    count_distribution: dict[int, int]
    """Number of cells by chromosome count, in increasing order of the count."""
    consensus: dict[int, int]
    """Copies by class id, 1..24."""
    agreement: dict[int, float]
    """Share of the votes for the consensus, by class id, 0..1."""
    ranking: tuple[int, ...]
    """Analysis ids, best quality first."""
    mosaic_hint: tuple[Clone, ...]
    """Recurring minority karyotypes, most frequent first: a question to the cytogeneticist."""

    def to_json(self) -> CaseSummaryDocument:
        """Return the summary as a JSON document."""
        return {
            "cell_count": self.cell_count,
            "modal_count": self.modal_count,
            "iscn": self.iscn,
            "count_distribution": {str(count): cells for count, cells in self.count_distribution.items()},
            "consensus": {str(class_id): copies for class_id, copies in self.consensus.items()},
            "agreement": {str(class_id): share for class_id, share in self.agreement.items()},
            "ranking": list(self.ranking),
            "mosaic_hint": [{"iscn": clone.iscn, "cells": clone.cells} for clone in self.mosaic_hint],
        }

    @classmethod
    def from_json(cls, document: CaseSummaryDocument) -> Self:
        """Return the summary of a document from :meth:`to_json`.

        Raises:
            KeyError: a field is missing.
        """
        return cls(
            cell_count=document["cell_count"],
            modal_count=document["modal_count"],
            iscn=document["iscn"],
            count_distribution={int(count): cells for count, cells in document["count_distribution"].items()},
            consensus={int(class_id): copies for class_id, copies in document["consensus"].items()},
            agreement={int(class_id): share for class_id, share in document["agreement"].items()},
            ranking=tuple(document["ranking"]),
            mosaic_hint=tuple(Clone(clone["iscn"], clone["cells"]) for clone in document["mosaic_hint"]),
        )


def summarise(cells: Iterable[CellSummary]) -> CaseSummary:
    """Return the summary of a case from those of its images, in any order."""
    cells = sorted(cells, key=lambda cell: (-cell.quality_score, cell.analysis_id))
    if not cells:
        return CaseSummary(0, None, None, {}, {}, {}, (), ())
    modal_count = _modal_count(cells)
    voters = [cell for cell in cells if cell.chromosome_count == modal_count]
    votes = {class_id: _vote(class_id, voters) for class_id in range(1, len(CLASS_NAMES) + 1)}
    consensus = {class_id: copies for class_id, (copies, _) in votes.items()}
    iscn = format_iscn(consensus)
    return CaseSummary(
        cell_count=len(cells),
        modal_count=modal_count,
        iscn=iscn,
        count_distribution=dict(sorted(Counter(cell.chromosome_count for cell in cells).items())),
        consensus=consensus,
        agreement={class_id: share for class_id, (_, share) in votes.items()},
        ranking=tuple(cell.analysis_id for cell in cells),
        mosaic_hint=_clones(cells, iscn),
    )


def _weight(cell: CellSummary) -> float:
    return max(cell.quality_score, _MIN_WEIGHT)


def _modal_count(cells: Sequence[CellSummary]) -> int:
    """Return the count of the largest weight; of equals the higher, as losses are artefacts."""
    weight: defaultdict[int, float] = defaultdict(float)
    for cell in cells:
        weight[cell.chromosome_count] += _weight(cell)
    return max(weight, key=lambda count: (round(weight[count], 6), count))


def _vote(class_id: int, voters: Sequence[CellSummary]) -> tuple[int, float]:
    """Return the copies of the largest weight, of equals nearest to 2, and their share."""
    weight: defaultdict[int, float] = defaultdict(float)
    for cell in voters:
        weight[cell.class_counts.get(class_id, 0)] += _weight(cell)
    copies = max(weight, key=lambda count: (round(weight[count], 6), -abs(count - 2)))
    return copies, weight[copies] / sum(weight.values())


def _clones(cells: Sequence[CellSummary], consensus: str) -> tuple[Clone, ...]:
    cells_by_iscn = Counter(cell.iscn for cell in cells)
    count_by_iscn = {cell.iscn: cell.chromosome_count for cell in cells}
    clones = [
        Clone(iscn, count)
        for iscn, count in cells_by_iscn.most_common()
        if iscn != consensus
        and not iscn.endswith("inc")
        and count >= (_MIN_CELLS_WITH_GAIN if count_by_iscn[iscn] > NORMAL_COUNT else _MIN_CELLS_WITH_LOSS)
    ]
    return tuple(clones)
