"""Recording of a correction, which replay has checked before."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import audit
from db import reviews as stored
from db.pipelines import label
from db.reviews import StoredResult
from db.schema import Review, SignOff, State
from karyotyping.review import Correction, RecordedReview, RefusedReview, ReviewedCell, to_detail
from karyotyping.review.corrections import Comment, Undo
from karyotyping.review.replay import find_undone
from reviews.cells import replay_result, to_recorded
from reviews.conflict import parse_person, refuse_outdated
from reviews.fingerprint import RECORDED, fingerprint

REOPENED = "case.reopened"


@dataclass(frozen=True, slots=True)
class CorrectedCell:
    """A recorded correction, and the cell before and after it."""

    review: Review
    result: StoredResult
    before: ReviewedCell
    after: ReviewedCell
    reopened: SignOff | None
    """The sign-off that the correction ended; None if there was none in force."""


def correct(
    session: Session,
    analysis_id: int,
    correction: Correction,
    *,
    reviewer: str,
    actor: str,
    expected: int | None = None,
) -> CorrectedCell:
    """Record a correction of one analysis.

    Args:
        session: an open transaction.
        analysis_id: the result that is corrected.
        correction: what is changed.
        reviewer: who corrects.
        actor: who writes it down, as ``user@host``.
        expected: the last review of the analysis that the reviewer has seen, 0 for none; None for whichever is last.

    Raises:
        ReviewConflict: another review came in between.
        RefusedReview: the result is unknown, unfinished or superseded, or the correction does not fit it.
    """
    reviewer = parse_person(reviewer)
    result = find_reviewable(session, analysis_id)
    if not stored.lock_case(session, result.case.id):
        raise RefusedReview(
            f"the case of analysis {analysis_id} was erased; `karyo report case_status` lists the cases"
        )
    earlier = stored.list_reviews(session, [analysis_id])[analysis_id]
    last = earlier[-1].id if earlier else 0
    refuse_outdated(expected, last, earlier[-1] if earlier else None, f"analysis {analysis_id}")
    recorded = to_recorded(earlier)
    before = replay_result(session, result, recorded)
    after = _replay_with(session, result, recorded, RecordedReview(last + 1, correction))
    signed = stored.find_sign_off(session, result.case)
    review = Review(
        case_id=result.case.id,
        analysis_id=analysis_id,
        follows=last,
        reviewer=reviewer,
        action=correction.action,
        detail=to_detail(correction),
    )
    session.add(review)
    session.flush()
    ends = signed is not None and signed[1] != "reopened" and not isinstance(correction, Comment)
    reopened = signed[0] if signed is not None and ends else None
    _audit(session, result, review, reopened, actor)
    return CorrectedCell(review, result, before, after, reopened)


def undo(
    session: Session,
    review_id: int,
    *,
    reviewer: str,
    actor: str,
    because: str | None = None,
    expected: int | None = None,
) -> CorrectedCell:
    """Record that a correction is withdrawn; the arguments are those of ``correct``.

    Raises:
        ReviewConflict: another review came in between.
        RefusedReview: there is no such correction, it is undone already, or a later one needs it.
    """
    review = session.get(Review, review_id)
    if review is None:
        raise RefusedReview(f"there is no review {review_id}; `karyo review list CASE` lists them")
    correction = Undo(review=review_id, because=because)
    return correct(session, review.analysis_id, correction, reviewer=reviewer, actor=actor, expected=expected)


def find_reviewable(session: Session, analysis_id: int) -> StoredResult:
    """Return a result that can be corrected.

    Raises:
        RefusedReview: it is unknown, unfinished or superseded.
    """
    result = stored.find_result(session, analysis_id)
    if result is None:
        raise RefusedReview(f"there is no analysis {analysis_id}; `karyo review show CASE` lists those of a case")
    if result.analysis.state != State.DONE:
        raise RefusedReview(f"analysis {analysis_id} has no result: it is {result.analysis.state}")
    if successor := stored.find_successor(session, result.analysis):
        raise RefusedReview(
            f"analysis {analysis_id} of pipeline {label(result.pipeline)} is superseded by analysis {successor.id} of "
            "the pipeline in production; review that"
        )
    return result


def _replay_with(
    session: Session, result: StoredResult, earlier: list[RecordedReview], new: RecordedReview
) -> ReviewedCell:
    reviews = [*earlier, new]
    find_undone(reviews)
    try:
        return replay_result(session, result, reviews)
    except RefusedReview as problem:
        if not isinstance(new.correction, Undo):
            raise
        raise RefusedReview(
            f"review {new.correction.review} cannot be undone, as a later one needs it: {problem}"
        ) from problem


def _audit(session: Session, result: StoredResult, review: Review, reopened: SignOff | None, actor: str) -> None:
    """Record the review without its words: an event of the trail cannot be erased."""
    session.refresh(review)
    audit.append(
        session,
        actor=actor,
        action=RECORDED,
        subject=f"case:{result.case.id}",
        review=review.id,
        reviewer=review.reviewer,
        correction=review.action,
        analysis=review.analysis_id,
        digest=result.pipeline.digest,
        content_sha256=fingerprint(review),
    )
    if reopened is not None:
        detail = {"review": review.id, "sign_off": reopened.id}
        audit.append(session, actor=actor, action=REOPENED, subject=f"case:{result.case.id}", **detail)
