"""The reaper: recovery of expired leases and lost messages; and manual retries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import CTE, ColumnElement, and_, case, func, select, update
from sqlalchemy.orm import Session

from db.accessions import names_case
from db.clock import interval
from db.notify import notify_schedulers
from db.queue.case_summaries import mark_stale
from db.queue.leases import failed_attempt
from db.schema import Analysis, Case, Image, State

WORKER_LOST = "worker_lost"
_WORKER_LOST_SENTENCE = (
    "The worker died or fell silent on every attempt while it worked on this image; "
    "look at the worker's log, then `karyo retry --reason worker_lost`."
)


@dataclass(frozen=True, slots=True)
class ReapReport:
    """Numbers of analyses that the reaper moved."""

    expired: int
    """Pending again after their lease expired."""
    quarantined: int
    """Quarantined: their lease expired during the last attempt."""
    unanswered: int
    """Pending again after no worker took their message."""


def reap(session: Session, max_attempts: int, queued_timeout_seconds: float, retry_seconds: float = 0.0) -> ReapReport:
    """Recover expired leases and lost messages, and end the delays that are over.

    An expired attempt counts only if it had begun and was not shared, so the neighbours of an image that kills its
    worker lose no attempt.

    Args:
        session: an open transaction.
        max_attempts: failures after which an image is quarantined.
        queued_timeout_seconds: time after which an unanswered message counts as lost.
        retry_seconds: mean delay after the first failure; doubles with each.
    """
    states = _recover_expired(session, max_attempts, retry_seconds)
    unanswered = _requeue_unanswered(session, queued_timeout_seconds)
    _end_delays(session)
    quarantined = states.count(State.QUARANTINED)
    return ReapReport(len(states) - quarantined, quarantined, unanswered)


def retry(session: Session, *, reason: str | None = None, accession: str | None = None) -> int:
    """Return failed and quarantined analyses to pending without attempts; the number of them.

    Args:
        session: an open transaction.
        reason: only analyses that failed for this reason.
        accession: only analyses of the case that this names.
    """
    failed = update(Analysis).where(Analysis.state.in_((State.FAILED, State.QUARANTINED)))
    if reason is not None:
        failed = failed.where(Analysis.reason == reason)
    if accession is not None:
        images = select(Image.id).join(Case, Image.case_id == Case.id).where(names_case(accession))
        failed = failed.where(Analysis.image_id.in_(images))
    values = {"state": State.PENDING, "attempts": 0, "reason": None, "error": None, "finished_at": None}
    retried = len(session.scalars(failed.values(values).returning(Analysis.id)).all())
    notify_schedulers(session)
    return retried


def _recover_expired(session: Session, max_attempts: int, retry_seconds: float) -> Sequence[State]:
    """Recover analyses whose lease has expired and return their new states."""
    expired = _locked("expired", Analysis.state == State.RUNNING, Analysis.lease_expires_at < func.now())
    begun = Analysis.started_at.is_not(None)
    counts = and_(begun, ~Analysis.shared)
    last = and_(counts, Analysis.attempts >= max_attempts)
    uncounted = and_(begun, Analysis.shared)
    recovered = session.execute(
        update(Analysis)
        .where(Analysis.id == expired.c.id)
        .values(
            **failed_attempt(counts, max_attempts, retry_seconds),
            attempts=case((uncounted, Analysis.attempts - 1), else_=Analysis.attempts),
            reason=case((last, WORKER_LOST), else_=Analysis.reason),
            error=case((last, _WORKER_LOST_SENTENCE), else_=Analysis.error),
        )
        .returning(Analysis.id, Analysis.state)
    ).all()
    mark_stale(session, [analysis_id for analysis_id, state in recovered if state == State.QUARANTINED])
    return [state for _, state in recovered]


def _requeue_unanswered(session: Session, queued_timeout_seconds: float) -> int:
    """Return analyses whose message no worker took to pending."""
    overdue = Analysis.queued_at < func.now() - interval(queued_timeout_seconds)
    unanswered = _locked("unanswered", Analysis.state == State.QUEUED, overdue)
    moved = update(Analysis).where(Analysis.id == unanswered.c.id).values(state=State.PENDING, queued_at=None)
    return len(session.scalars(moved.returning(Analysis.id)).all())


def _end_delays(session: Session) -> None:
    """Make pending analyses claimable whose delay is over."""
    due = _locked("due", Analysis.state == State.PENDING, Analysis.not_before <= func.now())
    session.execute(update(Analysis).where(Analysis.id == due.c.id).values(not_before=None))


def _locked(name: str, *conditions: ColumnElement[bool]) -> CTE:
    """Select and lock analyses, without those that another reaper has locked."""
    return select(Analysis.id).where(*conditions).with_for_update(skip_locked=True).cte(name)
