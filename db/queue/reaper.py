"""Work that was lost or has failed, brought back."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import and_, case, func, select, update
from sqlalchemy.orm import Session

from db.notify import ring
from db.queue.case_summaries import mark_stale
from db.queue.leases import pending_or_quarantined
from db.queue.types import seconds
from db.schema import Analysis, Case, Image

WORKER_LOST = "worker_lost"
_WORKER_LOST_SENTENCE = (
    "The worker died or fell silent on every attempt while it worked on this image; "
    "look at the worker's log, then `karyo retry --reason worker_lost`."
)


@dataclass(frozen=True, slots=True)
class ReapReport:
    """Analyses that the reaper moved."""

    expired: int
    """Their lease ran out; pending again."""
    quarantined: int
    """Their lease ran out during the last attempt that they had."""
    unanswered: int
    """Their message was never taken; pending again."""


def reap(session: Session, max_attempts: int, queued_timeout_seconds: float, retry_seconds: float = 0.0) -> ReapReport:
    """Recover what was lost, leases that ran out and messages that nobody took, and end the waits that are over.

    An attempt counts only if it had begun and was no shared one, so the neighbours of an image that kills its worker
    lose nothing.
    """
    expired = (
        select(Analysis.id)
        .where(Analysis.state == "running", Analysis.lease_expires_at < func.now())
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    begun = Analysis.started_at.is_not(None)
    counts = and_(begun, ~Analysis.shared)
    last = and_(counts, Analysis.attempts >= max_attempts)
    uncounted = and_(begun, Analysis.shared)
    recovered = session.execute(
        update(Analysis)
        .where(Analysis.id == expired.c.id)
        .values(
            **pending_or_quarantined(counts, max_attempts, retry_seconds),
            attempts=case((uncounted, Analysis.attempts - 1), else_=Analysis.attempts),
            reason=case((last, WORKER_LOST), else_=Analysis.reason),
            error=case((last, _WORKER_LOST_SENTENCE), else_=Analysis.error),
        )
        .returning(Analysis.id, Analysis.state)
    ).all()
    quarantined = [analysis_id for analysis_id, state in recovered if state == "quarantined"]
    mark_stale(session, quarantined)
    waiting_too_long = (
        select(Analysis.id)
        .where(Analysis.state == "queued", Analysis.queued_at < func.now() - seconds(queued_timeout_seconds))
        .with_for_update(skip_locked=True)
        .cte("waiting_too_long")
    )
    unanswered = session.scalars(
        update(Analysis)
        .where(Analysis.id == waiting_too_long.c.id)
        .values(state="pending", queued_at=None)
        .returning(Analysis.id)
    ).all()
    over = (
        select(Analysis.id)
        .where(Analysis.state == "pending", Analysis.not_before <= func.now())
        .with_for_update(skip_locked=True)
        .cte("over")
    )
    session.execute(update(Analysis).where(Analysis.id == over.c.id).values(not_before=None))
    return ReapReport(len(recovered) - len(quarantined), len(quarantined), len(unanswered))


def retry(session: Session, *, reason: str | None = None, accession: str | None = None) -> int:
    """Make failed and quarantined analyses pending again, their attempts counted afresh; how many."""
    again = update(Analysis).where(Analysis.state.in_(("failed", "quarantined")))
    if reason is not None:
        again = again.where(Analysis.reason == reason)
    if accession is not None:
        images = select(Image.id).join(Case, Image.case_id == Case.id).where(Case.accession == accession)
        again = again.where(Analysis.image_id.in_(images))
    values = {"state": "pending", "attempts": 0, "reason": None, "error": None, "finished_at": None}
    retried = len(session.scalars(again.values(values).returning(Analysis.id)).all())
    ring(session)
    return retried
