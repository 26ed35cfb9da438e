"""Summary of the cells of a case: modal count, headline karyotype, ranking of the cells.

Most differences between cells are artefacts. Chromosomes are lost when a cell bursts on the slide, overlaps hide some,
and similar classes are confused. A case therefore has a karyotype only where its cells agree. The rule:

1. A cell votes if its karyotype is called and it is complete, that is, has at least 41 chromosomes.
2. The modal count is the commonest count of the cells that vote. Of equally common counts it is the one closest to 46.
   If no cell is complete, it is the commonest count of the called cells.
3. The voters are the cells that vote and have the modal count. The consensus is the karyotype of the voter whose copies
   most voters share, summed over the classes.
4. The case is ``resolved`` if at least two voters have exactly the consensus, and they are more than half of the voters
   or, for every class, more than two thirds of the voters have its copies. More than a third of the cells that vote
   must have the modal count, and no other count may be as common.
5. The case is ``one_cell`` if a single cell votes, and its quality is at least 0.7.
6. Every other case is ``not_resolved``, and so is one whose consensus has unidentified chromosomes.

Recurring karyotypes besides that of the case are reported as a mosaic hint.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from karyotyping.case.cell import MIN_COMPLETE_COUNT, CellSummary
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT
from karyotyping.nomenclature.iscn import format_iscn

Resolution = Literal["resolved", "one_cell", "not_resolved"]

_MIN_MODAL_SHARE = 1 / 3  # of the cells that vote with the modal count; must be exceeded
_MIN_EXACT_SHARE = 1 / 2  # of the voters with exactly the consensus; must be exceeded
_MIN_CLASS_SHARE = 2 / 3  # of the voters with the copies of the consensus, for every class; must be exceeded
_MIN_AGREEING = 2  # cells with exactly the consensus
_MIN_ONE_CELL_QUALITY = 0.7  # of a cell that alone makes the karyotype, 0..1
_MIN_CELLS_WITH_GAIN = 2  # cells with the same gain that make a clone (ISCN 2020, chapter 11.1)
_MIN_CELLS_WITH_LOSS = 3  # cells with the same loss that make a clone (ISCN 2020, chapter 11.1)
_CLASS_IDS = range(1, len(CLASS_NAMES) + 1)


@dataclass(frozen=True, slots=True)
class Clone:
    """A karyotype besides that of the case in at least the number of cells that make a clone."""

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
    tied_counts: list[int]
    iscn: str | None
    resolution: Resolution
    why: str
    voters: int
    karyotype_agreement: float | None
    count_min: int | None
    count_max: int | None
    count_distribution: dict[str, int]
    consensus: dict[str, int]
    agreement: dict[str, float]
    ranking: list[int]
    mosaic_hint: list[CloneDocument]


@dataclass(frozen=True, slots=True)
class Consensus:
    """The karyotype that the voters share most, and how many share it."""

    copies: Mapping[int, int]
    """By class id, 1..24."""
    unidentified: int
    """Chromosomes without a class."""
    voters: int
    agreeing: int
    """Voters with exactly these copies."""
    shares: Mapping[int, float]
    """Share of the voters with the same copies, by class id, 0..1."""

    @property
    def count(self) -> int:
        """Chromosomes of each voter."""
        return sum(self.copies.values()) + self.unidentified

    @property
    def has_exact_majority(self) -> bool:
        """Whether enough voters have exactly these copies."""
        return self.agreeing > _MIN_EXACT_SHARE * self.voters


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """Counts, headline karyotype and ranking of the cells of a case."""

    cell_count: int
    modal_count: int | None
    """The commonest chromosome count; None without called cells."""
    tied_counts: tuple[int, ...]
    """Other counts that are as common as the modal count, in increasing order."""
    iscn: str | None
    """Karyotype of the case, of ``modal_count`` chromosomes; None if it is not resolved."""
    resolution: Resolution
    why: str
    """Reason of ``resolution``, a sentence."""
    voters: int
    """Cells that vote and have the modal count."""
    karyotype_agreement: float | None
    """Share of the voters with exactly the consensus, 0..1; None without voters."""
    count_distribution: dict[int, int]
    """Number of cells by chromosome count, in increasing order of the count; includes cells that do not vote."""
    consensus: dict[int, int]
    """Copies by class id, 1..24; empty without voters."""
    agreement: dict[int, float]
    """Share of the voters with the copies of the consensus, by class id, 0..1; empty without voters."""
    ranking: tuple[int, ...]
    """Analysis ids, best quality first."""
    mosaic_hint: tuple[Clone, ...]
    """Recurring other karyotypes, most frequent first: a question to the cytogeneticist."""

    @property
    def count_min(self) -> int | None:
        """Smallest chromosome count of a cell; None without cells."""
        return min(self.count_distribution, default=None)

    @property
    def count_max(self) -> int | None:
        """Largest chromosome count of a cell; None without cells."""
        return max(self.count_distribution, default=None)

    def to_json(self) -> CaseSummaryDocument:
        """Return the summary as a JSON document."""
        return {
            "cell_count": self.cell_count,
            "modal_count": self.modal_count,
            "tied_counts": list(self.tied_counts),
            "iscn": self.iscn,
            "resolution": self.resolution,
            "why": self.why,
            "voters": self.voters,
            "karyotype_agreement": self.karyotype_agreement,
            "count_min": self.count_min,
            "count_max": self.count_max,
            "count_distribution": {str(count): cells for count, cells in self.count_distribution.items()},
            "consensus": {str(class_id): copies for class_id, copies in self.consensus.items()},
            "agreement": {str(class_id): share for class_id, share in self.agreement.items()},
            "ranking": list(self.ranking),
            "mosaic_hint": [{"iscn": clone.iscn, "cells": clone.cells} for clone in self.mosaic_hint],
        }


def summarise(cells: Iterable[CellSummary]) -> CaseSummary:
    """Return the summary of a case from those of its images, in any order."""
    ranked = sorted(cells, key=lambda cell: (-cell.quality_score, cell.analysis_id))
    voting = [cell for cell in ranked if cell.votes]
    modal_count, tied_counts = _modal_count(voting or [cell for cell in ranked if cell.called])
    consensus = _consensus([cell for cell in voting if cell.chromosome_count == modal_count])
    resolution, why = _resolve(ranked, voting, consensus, tied_counts)
    iscn = None if consensus is None or resolution == "not_resolved" else format_iscn(consensus.copies)
    return CaseSummary(
        cell_count=len(ranked),
        modal_count=modal_count,
        tied_counts=tied_counts,
        iscn=iscn,
        resolution=resolution,
        why=why,
        voters=consensus.voters if consensus else 0,
        karyotype_agreement=consensus.agreeing / consensus.voters if consensus else None,
        count_distribution=dict(sorted(Counter(cell.chromosome_count for cell in ranked).items())),
        consensus=dict(consensus.copies) if consensus else {},
        agreement=dict(consensus.shares) if consensus else {},
        ranking=tuple(cell.analysis_id for cell in ranked),
        mosaic_hint=_clones(voting, iscn),
    )


def _modal_count(cells: Sequence[CellSummary]) -> tuple[int | None, tuple[int, ...]]:
    """Return the commonest count, of ties the one closest to 46, and the other tied counts."""
    cells_by_count = Counter(cell.chromosome_count for cell in cells)
    most = max(cells_by_count.values(), default=0)
    tied = sorted(count for count, number in cells_by_count.items() if number == most)
    if not tied:
        return None, ()
    modal_count = min(tied, key=lambda count: (abs(count - NORMAL_COUNT), -count))
    return modal_count, tuple(count for count in tied if count != modal_count)


def _consensus(voters: Sequence[CellSummary]) -> Consensus | None:
    """Return the consensus of ``voters``, best quality first; None without voters.

    A cell without unidentified chromosomes comes before one with some.
    """
    if not voters:
        return None
    by_class = {k: Counter(cell.class_counts.get(k, 0) for cell in voters) for k in _CLASS_IDS}
    copies = [{k: cell.class_counts.get(k, 0) for k in _CLASS_IDS} for cell in voters]

    def support(n: int) -> tuple[bool, int, int]:
        shared = sum(by_class[k][copies[n][k]] for k in _CLASS_IDS)
        return not voters[n].unidentified, shared, copies.count(copies[n])

    chosen = max(range(len(voters)), key=support)
    return Consensus(
        copies=copies[chosen],
        unidentified=voters[chosen].unidentified,
        voters=len(voters),
        agreeing=copies.count(copies[chosen]),
        shares={k: by_class[k][copies[chosen][k]] / len(voters) for k in _CLASS_IDS},
    )


def _resolve(
    cells: Sequence[CellSummary],
    voting: Sequence[CellSummary],
    consensus: Consensus | None,
    tied_counts: Sequence[int],
) -> tuple[Resolution, str]:
    """Return the resolution of a case and why, by rules 4 to 6 of this module.

    Args:
        cells: all cells of the case.
        voting: those that vote.
        consensus: of the voters; None without any.
        tied_counts: other counts that are as common as the modal count.
    """
    if consensus is None:
        return "not_resolved", _why_nobody_votes(cells)
    if objection := _objection(voting, consensus, tied_counts):
        return "not_resolved", objection
    if len(voting) == 1:
        return "one_cell", f"Only 1 of {len(cells)} cells is complete." if len(cells) > 1 else "The case has one cell."
    agreement = f"{consensus.agreeing} of {_cells(consensus.voters)} with {consensus.count} chromosomes agree exactly"
    if consensus.has_exact_majority:
        return "resolved", f"{agreement}."
    return "resolved", f"{agreement}, and for each class more than two thirds have the same copies."


def _objection(voting: Sequence[CellSummary], consensus: Consensus, tied_counts: Sequence[int]) -> str | None:
    """Return why a case is not resolved, a sentence; None if it is."""
    count = consensus.count
    if tied_counts:
        counts = ", ".join(map(str, (count, *tied_counts[:-1])))
        return f"Counts are tied: {counts} and {tied_counts[-1]} chromosomes, in {_cells(consensus.voters)} each."
    if consensus.unidentified:
        return f"No cell with {count} chromosomes has all of them identified."
    if len(voting) == 1:
        quality = voting[0].quality_score
        poor = f"The only complete cell has quality {quality:.2f}, and {_MIN_ONE_CELL_QUALITY} is needed."
        return poor if quality < _MIN_ONE_CELL_QUALITY else None
    if consensus.voters <= _MIN_MODAL_SHARE * len(voting):
        return f"Counts disagree: {consensus.voters} of {len(voting)} complete cells have {count} chromosomes."
    enough = consensus.has_exact_majority or min(consensus.shares.values()) > _MIN_CLASS_SHARE
    if consensus.agreeing < _MIN_AGREEING or not enough:
        voters = f"{_cells(consensus.voters)} with {count} chromosomes"
        return f"Cells disagree: of {voters}, {consensus.agreeing} with exactly the consensus."
    return None


def _why_nobody_votes(cells: Sequence[CellSummary]) -> str:
    if not cells:
        return "No image of the case has a result."
    called = [cell.chromosome_count for cell in cells if cell.called]
    counts = called or [cell.chromosome_count for cell in cells]
    span = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    if not called:
        return f"No image is a metaphase of one cell: the counts are {span}."
    return f"No cell is complete: the counts are {span}, and {MIN_COMPLETE_COUNT} chromosomes are needed."


def _cells(number: int) -> str:
    return "1 cell" if number == 1 else f"{number} cells"


def _clones(voting: Sequence[CellSummary], iscn: str | None) -> tuple[Clone, ...]:
    """Return the recurring karyotypes of the cells that vote, without that of the case."""
    cells_by_iscn = Counter(cell.iscn for cell in voting if not cell.unidentified)
    count_by_iscn = {cell.iscn: cell.chromosome_count for cell in voting}
    clones = [
        Clone(karyotype, cells)
        for karyotype, cells in cells_by_iscn.most_common()
        if karyotype != iscn
        and cells >= (_MIN_CELLS_WITH_GAIN if count_by_iscn[karyotype] > NORMAL_COUNT else _MIN_CELLS_WITH_LOSS)
    ]
    return tuple(clones)
