"""What the cells of a case say together: modal count, consensus karyotype, which cells to look at first.

Cells disagree for dull reasons: chromosomes are lost when a cell bursts on the slide, overlaps hide some, look-alikes
are mistaken for each other. So the count is the mode, the copies of every class are voted on by the cells that have the
modal count, and each vote weighs as much as the quality of its cell. What recurs beside the consensus is shown, not
hidden.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from karyotyping.model import CellAnalysis
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT
from karyotyping.nomenclature.iscn import format_iscn

_LEAST_WEIGHT = 0.05
_CLONE_WITH_GAIN = 2
_CLONE_WITH_LOSS = 3
"""Cells that make a clone: two with the same gain, three with the same loss (ISCN 2020, chapter 11.1)."""


@dataclass(frozen=True, slots=True)
class CellSummary:
    """What a case needs to know of one analysed image."""

    analysis_id: int
    class_counts: Mapping[int, int]
    """Copies by class id."""
    chromosome_count: int
    """With those that fit no class."""
    quality_score: float
    """0..1."""

    @classmethod
    def of(cls, analysis_id: int, cell: CellAnalysis) -> Self:
        """The summary of ``cell``."""
        return cls(analysis_id, cell.class_counts, len(cell.chromosomes), cell.quality.score)

    @property
    def iscn(self) -> str:
        """Karyotype as counted."""
        return format_iscn(self.class_counts, unidentified=self.chromosome_count - sum(self.class_counts.values()))


@dataclass(frozen=True, slots=True)
class Clone:
    """A karyotype other than the consensus that enough cells share to be more than chance."""

    iscn: str
    cells: int


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What the cells of a case say together."""

    cell_count: int
    modal_count: int | None
    """The commonest chromosome count; None without cells."""
    iscn: str | None
    """Karyotype of the consensus; None without cells."""
    count_distribution: dict[int, int]
    """Cells by chromosome count, in order of the count."""
    consensus: dict[int, int]
    """Copies by class id, 1..24."""
    agreement: dict[int, float]
    """Share of the voting weight that stands behind the consensus of each class, 0..1."""
    ranking: tuple[int, ...]
    """Analysis ids, best quality first."""
    mosaic_hint: tuple[Clone, ...]
    """Minority karyotypes that recur, commonest first: a question to the cytogeneticist, not a finding."""

    def to_json(self) -> dict[str, Any]:
        """As JSON has it: text keys, lists."""
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
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """The inverse of :meth:`to_json`. ``KeyError`` if a field is missing."""
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
    """The summary of a case from those of its images, in any order."""
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
    return max(cell.quality_score, _LEAST_WEIGHT)


def _modal_count(cells: Sequence[CellSummary]) -> int:
    """The count of most weight; of equals the higher, as chromosomes are lost on the slide more often than gained."""
    weight: defaultdict[int, float] = defaultdict(float)
    for cell in cells:
        weight[cell.chromosome_count] += _weight(cell)
    return max(weight, key=lambda count: (round(weight[count], 6), count))


def _vote(class_id: int, voters: Sequence[CellSummary]) -> tuple[int, float]:
    """The copies that most weight stands behind, and its share; of equals the one nearest to two."""
    weight: defaultdict[int, float] = defaultdict(float)
    for cell in voters:
        weight[cell.class_counts.get(class_id, 0)] += _weight(cell)
    copies = max(weight, key=lambda count: (round(weight[count], 6), -abs(count - 2)))
    return copies, weight[copies] / sum(weight.values())


def _clones(cells: Sequence[CellSummary], consensus: str) -> tuple[Clone, ...]:
    shared = Counter(cell.iscn for cell in cells)
    size_of = {cell.iscn: cell.chromosome_count for cell in cells}
    clones = [
        Clone(iscn, count)
        for iscn, count in shared.most_common()
        if iscn != consensus
        and not iscn.endswith("inc")
        and count >= (_CLONE_WITH_GAIN if size_of[iscn] > NORMAL_COUNT else _CLONE_WITH_LOSS)
    ]
    return tuple(clones)
