"""Work in a worker's hands: leased, begun, and ended or given back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, null, or_, text, tuple_, update
from sqlalchemy.orm import Session

from db.notify import ring
from db.queue.case_summaries import mark_stale
from db.queue.types import FREE, Leased, back_off, seconds
from db.schema import Analysis, Case, Image


def lease(session: Session, analysis_ids: Sequence[int], worker: str, lease_seconds: float) -> list[Leased]:
    """Lease those of ``analysis_ids`` that are still queued. A message that came twice finds nothing."""
    taken = (
        update(Analysis)
        .where(Analysis.id.in_(analysis_ids), Analysis.state == "queued")
        .where(Image.id == Analysis.image_id, Case.id == Image.case_id)
        .values(
            state="running",
            worker=worker,
            lease_token=func.gen_random_uuid(),
            lease_expires_at=func.now() + seconds(lease_seconds),
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
        )
    )
    leases = [Leased(**row._asdict()) for row in session.execute(taken)]
    if leases:
        ring(session)
    return sorted(leases, key=lambda leased: leased.analysis_id)


def _held(leased: Leased) -> ColumnElement[bool]:
    return and_(Analysis.id == leased.analysis_id, Analysis.lease_token == leased.token, Analysis.state == "running")


def begin(session: Session, leased: Leased, *, shared: bool = False) -> int | None:
    """``begin_all`` for one image: attempts including this one, or None if the lease is lost."""
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
        shared: whether the process may have other images in hand meanwhile. Its death is then no failure of these,
            which are suspects from now on: whoever leases one again must begin it alone.

    Returns:
        Attempts including this one, by analysis, of those whose lease is not lost.
    """
    pairs = sorted((leased.analysis_id, leased.token) for leased in leases)
    values = {"ids": [one for one, _ in pairs], "tokens": [token for _, token in pairs], "shared": shared}
    return dict(session.execute(_BEGIN, values).all())


def extend(session: Session, leases: Iterable[Leased], lease_seconds: float) -> set[int]:
    """Renew leases; the analysis ids that are still held."""
    pairs = sorted((leased.analysis_id, leased.token) for leased in leases)
    held = (
        update(Analysis)
        .where(tuple_(Analysis.id, Analysis.lease_token).in_(pairs), Analysis.state == "running")
        .values(lease_expires_at=func.now() + seconds(lease_seconds))
    )
    return set(session.scalars(held.returning(Analysis.id)))


def fail(session: Session, leased: Leased, reason: str, sentence: str) -> bool:
    """End an analysis that another attempt would not help; False if the lease is lost."""
    failed = update(Analysis).where(_held(leased))
    values = {"state": "failed", "finished_at": func.now(), "reason": reason, "error": sentence, **FREE}
    if session.scalar(failed.values(values).returning(Analysis.id)) is None:
        return False
    mark_stale(session, [leased.analysis_id])
    return True


def pending_or_quarantined(counts: ColumnElement[bool], max_attempts: int, retry_seconds: float) -> dict[str, Any]:
    """Values of an analysis whose attempt failed; ``counts`` says whether the failure is the image's own."""
    last = and_(counts, Analysis.attempts >= max_attempts)
    later = case((and_(counts, ~last), back_off(Analysis.attempts, retry_seconds)), else_=null())
    return {
        "state": case((last, "quarantined"), else_="pending"),
        "not_before": later,
        "finished_at": case((last, func.now()), else_=null()),
        **FREE,
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
    """Give an image back: pending again, or quarantined if a begun attempt failed and was the last.

    Args:
        session: an open transaction.
        leased: what to give back.
        max_attempts: failures after which an image is quarantined.
        retry_seconds: about how long it waits after a first failure, twice as long after the second; 0 for not at all.
        reason: why the attempt failed; None if it did not, as when a worker is told to stop: then it does not count.
        sentence: the same for people.
        suspect: whether the image may be why its process is about to die: begun in company, it goes alone next time.

    Returns:
        False if the lease is lost.
    """
    if reason is None:
        uncounted = case((Analysis.started_at.is_not(None), Analysis.attempts - 1), else_=Analysis.attempts)
        later = back_off(literal(1), retry_seconds)
        values: dict[str, Any] = {"state": "pending", "attempts": uncounted, "not_before": later, **FREE}
        if not suspect:
            values["shared"] = False
    else:
        values = pending_or_quarantined(Analysis.started_at.is_not(None), max_attempts, retry_seconds)
        values |= {"reason": reason, "error": sentence}
    released = update(Analysis).where(_held(leased)).values(values)
    state = session.scalar(released.returning(Analysis.state))
    if state == "quarantined":
        mark_stale(session, [leased.analysis_id])
    return state is not None
