"""Verdict on one judged case, and the edits that its cells need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from karyotyping.case.cell import CellSummary
from karyotyping.case.decision import Judgement, Outcome
from karyotyping.case.document import karyotype_of
from karyotyping.nomenclature.cell_lines import Specimen
from training.evaluation.cases.truth import CaseTruth, Copies, TruthKind, as_copies


class Verdict(StrEnum):
    """How the outcome of a case compares with its truth."""

    EXACT = "exact"
    """Called with exactly the cell lines of the truth."""
    RIGHT_OUTCOME = "right outcome"
    """Rightly called normal or abnormal; the truth has no karyotype."""
    WRONG_KARYOTYPE = "wrong karyotype"
    """Rightly called normal or abnormal, with other cell lines than the truth."""
    FALSE_NORMAL = "false normal"
    FALSE_ABNORMAL = "false abnormal"
    SUSPECTED = "suspected"
    INSUFFICIENT = "insufficient"
    NOT_LOOKED_AT = "not looked at"
    """The truth has a structural abnormality."""


RIGHT_OUTCOMES = (Verdict.EXACT, Verdict.RIGHT_OUTCOME, Verdict.WRONG_KARYOTYPE)


@dataclass(frozen=True, slots=True)
class JudgedCase:
    """A case with its truth, what the cells allowed to say, and its verdict."""

    truth: CaseTruth
    judgement: Judgement
    verdict: Verdict
    karyotype: str | None
    """The established clones, also of a case that is not called."""
    images: int
    """Includes those without a result."""
    analysed: int
    edits: tuple[int, ...]
    """Edits of each called cell whose karyotype is known."""

    @property
    def is_right(self) -> bool:
        """Whether the case could be accepted unseen."""
        return self.verdict in (Verdict.EXACT, Verdict.RIGHT_OUTCOME)


def compare_case(
    truth: CaseTruth, cells: Mapping[str, CellSummary], judgement: Judgement, *, images: int, specimen: Specimen
) -> JudgedCase:
    """Return the verdict on a case.

    Args:
        truth: what the laboratory signed.
        cells: analysed images by path.
        judgement: what they allowed to say.
        images: number of images, with those without a result.
        specimen: decides how the karyotype is written.
    """
    known = {path: truth.of_image(path) for path, cell in cells.items() if cell.called}
    return JudgedCase(
        truth,
        judgement,
        verdict_on(truth, judgement),
        karyotype_of(judgement, specimen),
        images,
        len(cells),
        tuple(edits_of(copies, cells[path]) for path, copies in known.items() if copies is not None),
    )


def verdict_on(truth: CaseTruth, judgement: Judgement) -> Verdict:
    """Return how a judgement compares with the truth; numbers of cells are not compared."""
    if truth.kind == TruthKind.STRUCTURAL:
        return Verdict.NOT_LOOKED_AT
    if not judgement.is_called:
        return Verdict(judgement.outcome.value)
    if judgement.outcome.value != truth.kind.value:
        return Verdict.FALSE_NORMAL if judgement.outcome == Outcome.NORMAL else Verdict.FALSE_ABNORMAL
    if not truth.lines:
        return Verdict.RIGHT_OUTCOME
    found = {as_copies(clone.copies) for clone in judgement.clones if clone.established}
    return Verdict.EXACT if found == truth.lines else Verdict.WRONG_KARYOTYPE


def edits_of(truth: Copies, cell: CellSummary) -> int:
    """Return the fewest chromosomes to add, delete or rename to reach the true copies.

    Errors that cancel out in the copies are not seen.

    >>> cell = CellSummary(1, {1: 2, 21: 2, 22: 3}, 7, 0.8)
    >>> edits_of(as_copies({1: 2, 21: 3, 22: 2}), cell)
    1
    """
    wanted, found = Counter(dict(truth)), Counter(dict(cell.class_counts))
    return max((wanted - found).total(), (found - wanted).total() + cell.unidentified)
