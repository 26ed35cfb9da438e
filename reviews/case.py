"""A case as the pipeline sees it, and as its reviewers do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import pipelines
from db import reviews as stored
from db.case_results import find_shown_pipeline
from db.classes import StoredClass, list_classes
from db.reviews import StoredResult
from db.schema import ACTIVE, Case, Pipeline, Review, SignOff, State
from karyotyping.case.cell import CellFacts, CellSummary
from karyotyping.case_summary import CaseSummary, summarise
from karyotyping.review import RefusedReview, ReviewedCell
from reviews.cells import replay_result, to_recorded


@dataclass(frozen=True, slots=True)
class CaseCell:
    """A result of a case, before and after its corrections."""

    result: StoredResult
    reviews: Sequence[Review]
    before: CellSummary
    after: CellSummary | None
    """None for a rejected cell."""
    corrected: ReviewedCell | None
    """The replayed cell; None without corrections in force."""

    @property
    def iscn(self) -> str | None:
        """Karyotype after the corrections; None for a rejected cell and without a metaphase."""
        return self.result.analysis.iscn if self.corrected is None else self.corrected.iscn


@dataclass(frozen=True, slots=True)
class CaseReview:
    """A case by one pipeline, before and after its corrections."""

    case: Case
    pipeline: Pipeline
    cells: Sequence[CaseCell]
    before: CaseSummary
    after: CaseSummary
    unfinished: int
    """Images whose analysis has not ended, or was not requested."""
    last_review_id: int
    """Last review of the case under any pipeline; 0 for none."""
    sign_off: SignOff | None
    """The last sign-off of the case under any pipeline."""
    state: str
    """``open`` without a sign-off, else as in ``reporting.signed_results``."""

    @property
    def analysis_ids(self) -> list[int]:
        """Numbers of the results, in order."""
        return [cell.result.analysis.id for cell in self.cells]


def read_case(session: Session, case: Case, pipeline: Pipeline | None = None) -> CaseReview:
    """Return the review of a case.

    Args:
        session: an open transaction.
        case: its row.
        pipeline: whose results; None for those in production, or the latest ones.

    Raises:
        RefusedReview: the case has no result.
    """
    pipeline = pipeline or find_shown_pipeline(session, case.id)
    if pipeline is None:
        raise RefusedReview(f"case {case.accession} has no result yet; `karyo report case_status` shows its images")
    results = stored.list_results(session, case.id, pipeline.id)
    done = [result for result in results if result.analysis.state == State.DONE]
    if not done:
        raise RefusedReview(f"case {case.accession} has no result of pipeline {pipelines.label(pipeline)}")
    cells = _read_cells(session, done)
    active = sum(result.analysis.state in ACTIVE for result in results)
    signed = stored.find_sign_off(session, case)
    return CaseReview(
        case=case,
        pipeline=pipeline,
        cells=cells,
        before=summarise((cell.before for cell in cells), tissue=case.tissue),
        after=summarise((cell.after for cell in cells if cell.after is not None), tissue=case.tissue),
        unfinished=active + stored.count_images(session, case.id) - len(results),
        last_review_id=stored.find_last_review(session, case.id),
        sign_off=signed[0] if signed else None,
        state=signed[1] if signed else "open",
    )


def read_cell(session: Session, cell: CaseCell) -> ReviewedCell:
    """Return the chromosomes of a cell after its corrections, if there are any."""
    return cell.corrected or replay_result(session, cell.result, [])


def _read_cells(session: Session, results: Sequence[StoredResult]) -> list[CaseCell]:
    ids = [result.analysis.id for result in results]
    classes = list_classes(session, ids)
    reviews = stored.list_reviews(session, ids)
    return [_read_cell(session, item, classes[item.analysis.id], reviews[item.analysis.id]) for item in results]


def _read_cell(
    session: Session, result: StoredResult, classes: Sequence[StoredClass], reviews: Sequence[Review]
) -> CaseCell:
    """Return one cell; its chromosomes are read only if somebody has corrected it."""
    analysis, qc = result.analysis, result.qc
    assert qc is not None, "an analysis is done together with its quality"
    called = analysis.iscn is not None
    facts = CellFacts(
        culture=result.image.culture,
        colony=result.image.colony,
        band_level=qc.band_level,
        outline_edits=qc.outline_edits,
        class_edits=qc.class_edits,
        unexplained_objects=qc.unexplained_objects,
    )
    before = CellSummary.of_classes(analysis.id, classes, quality_score=qc.score, called=called, **facts)
    corrected = replay_result(session, result, to_recorded(reviews)) if reviews else None
    if corrected is None or not corrected.in_force:
        return CaseCell(result, reviews, before, before, None)
    after = None if corrected.rejected else corrected.summary(analysis.id, qc.score, **facts)
    return CaseCell(result, reviews, before, after, corrected)
