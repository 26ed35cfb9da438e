"""Summary of the cells of a case: karyotype with its evidence, counts, ranking of the cells.

:func:`karyotyping.case.decision.judge` decides what the cells allow to say. The headline follows it:

* ``resolved``: the outcome is ``normal`` or ``abnormal``, and the case has its karyotype.
* ``one_cell``: a single cell is called, it is complete, and its quality is at least 0.7; its karyotype is shown as that
  of one cell.
* ``not_resolved``: every other case. The evidence names the most probable clones, and what is missing.

Counts describe the cells. Voters are the complete cells with the modal count, and the consensus is the karyotype of
the voter whose copies most voters share, summed over the classes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypedDict

from karyotyping.case.cell import CellSummary
from karyotyping.case.choice import Choice, choose_to_count, choose_to_karyotype, rank
from karyotyping.case.decision import Judgement, judge
from karyotyping.case.document import EvidenceDocument, evidence_document, karyotype_of
from karyotyping.case.policy import Policy, read_policy
from karyotyping.case.rules import Rules
from karyotyping.case.sufficiency import Sufficiency, assess
from karyotyping.nomenclature.cell_lines import Specimen
from karyotyping.nomenclature.classes import CLASS_NAMES, NORMAL_COUNT
from karyotyping.nomenclature.iscn import format_iscn

Resolution = Literal["resolved", "one_cell", "not_resolved"]

_MIN_ONE_CELL_QUALITY = 0.7  # of a cell that alone makes the karyotype, 0..1
_MIN_CELLS_WITH_GAIN = 2  # cells with the same gain that make a clone (ISCN 2024, 4.5.1)
_MIN_CELLS_WITH_LOSS = 3  # cells with the same loss that make a clone (ISCN 2024, 4.5.1)
_CLASS_IDS = range(1, len(CLASS_NAMES) + 1)


@dataclass(frozen=True, slots=True)
class Clone:
    """A karyotype that recurs and is no clone of the case."""

    iscn: str
    cells: int


class CloneDocument(TypedDict):
    """A ``Clone`` as JSON."""

    iscn: str
    cells: int


class ChoiceDocument(TypedDict):
    """A ``Choice`` as JSON."""

    analysis: int
    reason: str


class CaseSummaryDocument(EvidenceDocument):
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
    to_count: list[ChoiceDocument]
    to_karyotype: list[ChoiceDocument]
    mosaic_hint: list[CloneDocument]


@dataclass(frozen=True, slots=True)
class Consensus:
    """The karyotype that the voters share most, and how many share it."""

    copies: dict[int, int]
    """By class id, 1..24."""
    voters: int
    agreeing: int
    """Voters with exactly these copies."""
    shares: dict[int, float]
    """Share of the voters with the same copies, by class id, 0..1."""


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """Karyotype with its evidence, counts and ranking of the cells of a case."""

    cell_count: int
    modal_count: int | None
    """The commonest chromosome count; None without called cells."""
    tied_counts: tuple[int, ...]
    """Other counts that are as common as the modal count, in increasing order."""
    iscn: str | None
    """Karyotype of the case; None if it is not resolved."""
    resolution: Resolution
    why: str
    """Reason of ``resolution``, a sentence."""
    voters: int
    """Complete cells with the modal count."""
    karyotype_agreement: float | None
    """Share of the voters with exactly the consensus, 0..1; None without voters."""
    count_distribution: dict[int, int]
    """Number of cells by chromosome count, in increasing order of the count; includes cells that do not vote."""
    consensus: dict[int, int]
    """Copies by class id, 1..24; empty without voters."""
    agreement: dict[int, float]
    """Share of the voters with the copies of the consensus, by class id, 0..1; empty without voters."""
    ranking: tuple[int, ...]
    """Analysis ids, the fewest expected edits first."""
    to_count: tuple[Choice, ...]
    """Cells to count, best first, as many as the policy counts."""
    to_karyotype: tuple[Choice, ...]
    """Cells to karyotype, best first, as many as the policy analyses."""
    mosaic_hint: tuple[Clone, ...]
    """Recurring other karyotypes, most frequent first: a question to the cytogeneticist."""
    judgement: Judgement
    """Outcome, clones and the evidence for them."""
    sufficiency: Sufficiency
    """What the laboratory's policy still asks for."""
    specimen: Specimen
    """Decides how the karyotype is written."""

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
            "to_count": [{"analysis": one.analysis_id, "reason": one.reason} for one in self.to_count],
            "to_karyotype": [{"analysis": one.analysis_id, "reason": one.reason} for one in self.to_karyotype],
            "mosaic_hint": [{"iscn": clone.iscn, "cells": clone.cells} for clone in self.mosaic_hint],
            **evidence_document(self.judgement, self.sufficiency, self.specimen),
        }


def summarise(cells: Iterable[CellSummary], *, tissue: str | None = None, policy: Policy | None = None) -> CaseSummary:
    """Return the summary of a case from those of its images, in any order.

    Args:
        cells: every analysed image.
        tissue: label of the case.
        policy: of the laboratory; by default the shipped one.
    """
    policy = policy or _shipped_policy()
    wanted = policy.of(tissue)
    specimen = wanted.specimen
    ranked = rank(cells)
    voting = [cell for cell in ranked if cell.votes]
    modal_count, tied_counts = _modal_count(voting or [cell for cell in ranked if cell.called])
    consensus = _consensus([cell for cell in voting if cell.chromosome_count == modal_count])
    judgement = judge(ranked, rules=Rules(clone_unit=wanted.clone_unit))
    resolution, iscn, why = _headline(ranked, judgement, specimen)
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
        consensus=consensus.copies if consensus else {},
        agreement=consensus.shares if consensus else {},
        ranking=tuple(cell.analysis_id for cell in ranked),
        to_count=choose_to_count(ranked, wanted),
        to_karyotype=choose_to_karyotype(ranked, wanted),
        mosaic_hint=_recurring(voting, judgement),
        judgement=judgement,
        sufficiency=assess(ranked, judgement, policy, tissue),
        specimen=specimen,
    )


@cache
def _shipped_policy() -> Policy:
    return read_policy()


def _headline(
    cells: Sequence[CellSummary], judgement: Judgement, specimen: Specimen
) -> tuple[Resolution, str | None, str]:
    """Return the resolution of a case, its karyotype and why."""
    if judgement.is_called:
        return "resolved", karyotype_of(judgement, specimen), judgement.why
    called = [cell for cell in cells if cell.called]
    if len(called) != 1:
        return "not_resolved", None, judgement.why
    only = called[0]
    if not only.votes or only.incomplete:
        return "not_resolved", None, f"The only cell is incomplete: {only.iscn}."
    if only.quality_score < _MIN_ONE_CELL_QUALITY:
        needed = f"and {_MIN_ONE_CELL_QUALITY} is needed"
        return "not_resolved", None, f"The only cell has quality {only.quality_score:.2f}, {needed}."
    return "one_cell", only.iscn, judgement.why


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
        voters=len(voters),
        agreeing=copies.count(copies[chosen]),
        shares={k: by_class[k][copies[chosen][k]] / len(voters) for k in _CLASS_IDS},
    )


def _recurring(voting: Sequence[CellSummary], judgement: Judgement) -> tuple[Clone, ...]:
    """Return the recurring karyotypes of voting cells that are neither normal clones nor called."""
    complete = [cell for cell in voting if not cell.unidentified]
    called = [one for one in judgement.clones if not one.changes or (judgement.is_called and one.established)]
    known = [dict(clone.copies) for clone in called]
    found = Counter(frozenset(cell.class_counts.items()) for cell in complete)
    return tuple(
        Clone(format_iscn(copies), cells)
        for copies, cells in ((dict(copies), cells) for copies, cells in found.most_common())
        if copies not in known
        and cells >= (_MIN_CELLS_WITH_GAIN if sum(copies.values()) > NORMAL_COUNT else _MIN_CELLS_WITH_LOSS)
    )
