"""Leases: a worker takes queued analyses, begins attempts, and fails or releases them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, text, tuple_, update
from sqlalchemy.orm import Session

from db.clock import interval
from db.notify import notify_schedulers
from db.queue.case_summaries import mark_stale
from db.queue.types import UNLEASED, Leased, back_off
from db.schema import Analysis, Case, Image, State, StateType


def lease(session: Session, analysis_ids: Sequence[int], worker: str, lease_seconds: float) -> list[Leased]:
    """Lease those of ``analysis_ids`` that are queued; a repeated message leases none.

    Args:
        session: an open transaction.
        analysis_ids: of the message.
        worker: name of the worker.
        lease_seconds: time to the expiry of the leases.

    Returns:
        The new leases, by analysis id.
    """
    taken = (
        update(Analysis)
        .where(Analysis.id.in_(analysis_ids), Analysis.state == State.QUEUED)
        .where(Image.id == Analysis.image_id, Case.id == Image.case_id)
        .values(
            state=State.RUNNING,
            worker=worker,
            lease_token=func.gen_random_uuid(),
            lease_expires_at=func.now() + interval(lease_seconds),
            started_at=None,
        )
        .returning(
            Analysis.id.label("analysis_id"),
            Analysis.image_id,
            Analysis.pipeline_id,
            Image.object_key,
            Image.file_name,
            Case.accession,
            Analysis.lease_token.label("token"),
            Analysis.attempts,
            (Image.width * Image.height).label("pixels"),
            or_(Analysis.shared, Analysis.attempts > 0).label("suspect"),
            Image.channel,
            Image.plane,
        )
    )
    leases = [Leased(**row._asdict()) for row in session.execute(taken)]
    if leases:
        notify_schedulers(session)
    return sorted(leases, key=lambda leased: leased.analysis_id)


def begin(session: Session, leased: Leased, *, shared: bool = False) -> int | None:
    """Begin one attempt as ``begin_all`` does; return its number, or None if the lease is lost."""
    return begin_all(session, [leased], shared=shared).get(leased.analysis_id)


_BEGIN = text(
    """
    UPDATE karyo.analyses analysis SET attempts = attempts + 1, started_at = now(), shared = :shared
    FROM unnest(CAST(:ids AS bigint[]), CAST(:tokens AS uuid[])) AS held(id, token)
    WHERE analysis.id = held.id AND analysis.lease_token = held.token AND analysis.state = 'running'
    RETURNING analysis.id, analysis.attempts
    """
)


def begin_all(session: Session, leases: Iterable[Leased], *, shared: bool) -> dict[int, int]:
    """Count an attempt of each image; commit before the work starts.

    Args:
        session: an open transaction.
        leases: the images whose work starts.
        shared: whether the process may work on other images meanwhile. If it dies, the attempts do not count, but the
            images become suspects: the next attempt of each must be begun alone.

    Returns:
        The number of the attempt, from 1, by analysis id; analyses that lost their lease are left out.
    """
    pairs = sorted((leased.analysis_id, leased.token) for leased in leases)
    values = {"ids": [analysis_id for analysis_id, _ in pairs], "tokens": [token for _, token in pairs]}
    return dict(session.execute(_BEGIN, values | {"shared": shared}).all())


def extend(session: Session, leases: Iterable[Leased], lease_seconds: float) -> set[int]:
    """Extend leases and return the analysis ids of those that are not lost.

    Args:
        session: an open transaction.
        leases: to extend.
        lease_seconds: time from now to the new expiry.
    """
    pairs = sorted((leased.analysis_id, leased.token) for leased in leases)
    held = (
        update(Analysis)
        .where(tuple_(Analysis.id, Analysis.lease_token).in_(pairs), Analysis.state == State.RUNNING)
        .values(lease_expires_at=func.now() + interval(lease_seconds))
    )
    return set(session.scalars(held.returning(Analysis.id)))


def fail(session: Session, leased: Leased, reason: str, sentence: str) -> bool:
    """Fail an analysis for good; return False if the lease is lost.

    Args:
        session: an open transaction.
        leased: the analysis.
        reason: stable key.
        sentence: the reason for people.
    """
    failed = update(Analysis).where(_is_held(leased))
    values = {"state": State.FAILED, "finished_at": func.now(), "reason": reason, "error": sentence, **UNLEASED}
    if session.scalar(failed.values(values).returning(Analysis.id)) is None:
        return False
    mark_stale(session, [leased.analysis_id])
    return True


def failed_attempt(counts: ColumnElement[bool], max_attempts: int, retry_seconds: float) -> dict[str, Any]:
    """Return the column values after a failed attempt: pending, or quarantined after the last.

    Args:
        counts: whether the failure counts against the image.
        max_attempts: failures after which an image is quarantined.
        retry_seconds: mean delay after the first failure; doubles with each.
    """
    last = and_(counts, Analysis.attempts >= max_attempts)
    not_before = case((and_(counts, ~last), back_off(Analysis.attempts, retry_seconds)), else_=null())
    return {
        "state": case((last, literal(State.QUARANTINED, StateType)), else_=literal(State.PENDING, StateType)),
        "not_before": not_before,
        "finished_at": case((last, func.now()), else_=null()),
        **UNLEASED,
    }


def release(
    session: Session,
    leased: Leased,
    *,
    max_attempts: int,
    retry_seconds: float = 0.0,
    reason: str | None = None,
    sentence: str | None = None,
    suspect: bool = False,
) -> bool:
    """Give a leased analysis back: pending again, or quarantined after its last failed attempt.

    Args:
        session: an open transaction.
        leased: the analysis.
        max_attempts: failures after which an image is quarantined.
        retry_seconds: mean delay after the first failure; doubles with each. 0 for no delay.
        reason: stable key of the failure; None if the attempt was interrupted, which does not count.
        sentence: the reason for people.
        suspect: whether the image may have killed its process; if so, its next attempt is begun alone.

    Returns:
        False if the lease is lost.
    """
    if reason is None:
        uncounted = case((Analysis.started_at.is_not(None), Analysis.attempts - 1), else_=Analysis.attempts)
        not_before = back_off(literal(1), retry_seconds)
        values: dict[str, Any] = {"state": State.PENDING, "attempts": uncounted, "not_before": not_before, **UNLEASED}
        if not suspect:
            values["shared"] = False
    else:
        values = failed_attempt(Analysis.started_at.is_not(None), max_attempts, retry_seconds)
        values |= {"reason": reason, "error": sentence}
    released = update(Analysis).where(_is_held(leased)).values(values)
    state = session.scalar(released.returning(Analysis.state))
    if state == State.QUARANTINED:
        mark_stale(session, [leased.analysis_id])
    return state is not None


def _is_held(leased: Leased) -> ColumnElement[bool]:
    held = and_(Analysis.lease_token == leased.token, Analysis.state == State.RUNNING)
    return and_(Analysis.id == leased.analysis_id, held)
