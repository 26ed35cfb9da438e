"""The queue of record: the life of an analysis, and the only place where its state changes.

``pending -> queued -> running -> done | failed | quarantined``. Every transition is one statement that names the state
it starts from, so that of two processes that try the same one, one finds nothing to do. A worker holds an image by its
lease token; whoever lost the token can write nothing. All time is the database's.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    and_,
    case,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from db.schema import ACTIVE, ENDED, PRIORITIES, Analysis, Case, CaseResult, Chromosome, Image, QcMetrics

WORKER_LOST = "worker_lost"
_WORKER_LOST_SENTENCE = (
    "The worker died or fell silent on every attempt while it worked on this image; "
    "look at the worker's log, then `karyo retry --reason worker_lost`."
)


@dataclass(frozen=True, slots=True)
class Leased:
    """An analysis that this worker alone may work on, for as long as it extends the lease."""

    analysis_id: int
    image_id: int
    pipeline_id: int
    object_key: str
    file_name: str
    accession: str
    """Of the case."""
    token: uuid.UUID
    attempts: int
    """Attempts begun before this one."""


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """What finishes an analysis: rows for ``chromosomes`` and ``qc_metrics`` without their ``analysis_id``."""

    seconds: float
    iscn: str
    artefacts: Mapping[str, str]
    chromosomes: Sequence[Mapping[str, Any]]
    qc: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReapReport:
    """Analyses that the reaper moved."""

    expired: int
    """Their lease ran out; pending again."""
    quarantined: int
    """Their lease ran out during the last attempt that they had."""
    unanswered: int
    """Their message was never taken; pending again."""


def _seconds(value: float) -> ColumnElement[Any]:
    return func.make_interval(0, 0, 0, 0, 0, 0, value)


_FREE: dict[str, Any] = {"lease_token": None, "lease_expires_at": None}


def _pending_or_quarantined(last: ColumnElement[bool]) -> dict[str, Any]:
    """Values of an analysis whose attempt failed; ``last`` says whether it had no other."""
    return {
        "state": case((last, "quarantined"), else_="pending"),
        "finished_at": case((last, func.now()), else_=null()),
        **_FREE,
    }


def enqueue(
    session: Session, image_ids: Sequence[int], pipeline_id: int, priority: int, campaign_id: int | None = None
) -> int:
    """Make the missing (image, pipeline) pairs pending; how many were missing."""
    # One array parameter: a list of rows would soon need more parameters than a statement may have.
    images = func.unnest(literal(sorted(set(image_ids)), ARRAY(BigInteger))).column_valued("image_id")
    return enqueue_selected(session, select(images), pipeline_id, priority, campaign_id)


def enqueue_selected(
    session: Session, images: Select[int], pipeline_id: int, priority: int, campaign_id: int | None = None
) -> int:
    """``enqueue`` for the image ids that a query yields, however many."""
    chosen = images.subquery()
    values = {"pipeline_id": pipeline_id, "priority": priority, "campaign_id": campaign_id}
    pairs = select(chosen.c[0], *(literal(value, BigInteger) for value in values.values())).order_by(chosen.c[0])
    missing = upsert(Analysis).from_select(["image_id", *values], pairs).on_conflict_do_nothing()
    inserted = missing.returning(Analysis.id).cte("inserted")
    return session.scalars(select(func.count()).select_from(inserted)).one()


def claim(session: Session, limit: int, max_queued: int) -> list[int]:
    """Take up to ``limit`` pending analyses, the most urgent first, while fewer than ``max_queued`` are queued.

    Schedulers that claim at the same instant count before they see each other, so each may fill the same room.
    """
    queued = session.scalars(select(func.count()).where(Analysis.state == "queued")).one()
    room = min(limit, max_queued - queued)
    if room <= 0:
        return []
    chosen = (
        select(Analysis.id)
        .where(Analysis.state == "pending")
        .order_by(Analysis.priority, Analysis.id)
        .limit(room)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    claimed = update(Analysis).where(Analysis.id == chosen.c.id).values(state="queued", queued_at=func.now())
    return sorted(session.scalars(claimed.returning(Analysis.id)))


def unclaim(session: Session, analysis_ids: Sequence[int]) -> int:
    """Give back what was claimed and could not be published; how many were still queued."""
    back = update(Analysis).where(Analysis.id.in_(analysis_ids), Analysis.state == "queued")
    return len(session.scalars(back.values(state="pending", queued_at=None).returning(Analysis.id)).all())


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
            lease_expires_at=func.now() + _seconds(lease_seconds),
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
        )
    )
    leases = [Leased(**row._asdict()) for row in session.execute(taken)]
    return sorted(leases, key=lambda leased: leased.analysis_id)


def _held(leased: Leased) -> ColumnElement[bool]:
    return and_(Analysis.id == leased.analysis_id, Analysis.lease_token == leased.token, Analysis.state == "running")


def begin(session: Session, leased: Leased) -> int | None:
    """Count an attempt; commit before the work starts. Attempts including this one, or None if the lease is lost."""
    counted = update(Analysis).where(_held(leased)).values(attempts=Analysis.attempts + 1, started_at=func.now())
    return session.scalar(counted.returning(Analysis.attempts))


def extend(session: Session, leases: Iterable[Leased], lease_seconds: float) -> set[int]:
    """Renew leases; the analysis ids that are still held."""
    pairs = sorted((leased.analysis_id, leased.token) for leased in leases)
    held = (
        update(Analysis)
        .where(tuple_(Analysis.id, Analysis.lease_token).in_(pairs), Analysis.state == "running")
        .values(lease_expires_at=func.now() + _seconds(lease_seconds))
    )
    return set(session.scalars(held.returning(Analysis.id)))


def finish(session: Session, leased: Leased, result: AnalysisResult) -> bool:
    """Write the results of an analysis and end it; False, with nothing written, if the lease is lost."""
    done = (
        update(Analysis)
        .where(_held(leased))
        .values(
            state="done",
            finished_at=func.now(),
            seconds=result.seconds,
            iscn=result.iscn,
            artefacts=dict(result.artefacts),
            reason=None,
            error=None,
            **_FREE,
        )
    )
    if session.scalar(done.returning(Analysis.id)) is None:
        return False
    analysis_id = {"analysis_id": leased.analysis_id}
    if result.chromosomes:
        session.execute(insert(Chromosome), [{**row, **analysis_id} for row in result.chromosomes])
    session.execute(insert(QcMetrics), [{**result.qc, **analysis_id}])
    _mark_stale(session, [leased.analysis_id])
    return True


def fail(session: Session, leased: Leased, reason: str, sentence: str) -> bool:
    """End an analysis that another attempt would not help; False if the lease is lost."""
    failed = update(Analysis).where(_held(leased))
    values = {"state": "failed", "finished_at": func.now(), "reason": reason, "error": sentence, **_FREE}
    if session.scalar(failed.values(values).returning(Analysis.id)) is None:
        return False
    _mark_stale(session, [leased.analysis_id])
    return True


def release(
    session: Session, leased: Leased, *, max_attempts: int, reason: str | None = None, sentence: str | None = None
) -> bool:
    """Give an image back: pending again, or quarantined if a begun attempt failed and was the last.

    Args:
        session: an open transaction.
        leased: what to give back.
        max_attempts: failures after which an image is quarantined.
        reason: why the attempt failed; None if it did not, as when a worker is told to stop: then it does not count.
        sentence: the same for people.

    Returns:
        False if the lease is lost.
    """
    begun = Analysis.started_at.is_not(None)
    if reason is None:
        uncounted = case((begun, Analysis.attempts - 1), else_=Analysis.attempts)
        values: dict[str, Any] = {"state": "pending", "attempts": uncounted, **_FREE}
    else:
        values = _pending_or_quarantined(and_(begun, Analysis.attempts >= max_attempts))
        values |= {"reason": reason, "error": sentence}
    released = update(Analysis).where(_held(leased)).values(values)
    state = session.scalar(released.returning(Analysis.state))
    if state == "quarantined":
        _mark_stale(session, [leased.analysis_id])
    return state is not None


def reap(session: Session, max_attempts: int, queued_timeout_seconds: float) -> ReapReport:
    """Recover what was lost: leases that ran out, messages that nobody took.

    An attempt counts only if it had begun, so the neighbours of an image that kills its worker lose nothing.
    """
    expired = (
        select(Analysis.id)
        .where(Analysis.state == "running", Analysis.lease_expires_at < func.now())
        .with_for_update(skip_locked=True)
        .cte("expired")
    )
    last = and_(Analysis.started_at.is_not(None), Analysis.attempts >= max_attempts)
    recovered = session.execute(
        update(Analysis)
        .where(Analysis.id == expired.c.id)
        .values(
            **_pending_or_quarantined(last),
            reason=case((last, WORKER_LOST), else_=Analysis.reason),
            error=case((last, _WORKER_LOST_SENTENCE), else_=Analysis.error),
        )
        .returning(Analysis.id, Analysis.state)
    ).all()
    quarantined = [analysis_id for analysis_id, state in recovered if state == "quarantined"]
    _mark_stale(session, quarantined)
    waiting_too_long = (
        select(Analysis.id)
        .where(Analysis.state == "queued", Analysis.queued_at < func.now() - _seconds(queued_timeout_seconds))
        .with_for_update(skip_locked=True)
        .cte("waiting_too_long")
    )
    unanswered = session.scalars(
        update(Analysis)
        .where(Analysis.id == waiting_too_long.c.id)
        .values(state="pending", queued_at=None)
        .returning(Analysis.id)
    ).all()
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
    return len(session.scalars(again.values(values).returning(Analysis.id)).all())


def _mark_stale(session: Session, analysis_ids: Sequence[int]) -> None:
    """Note that the cases of these analyses have to be summarised again."""
    if not analysis_ids:
        return
    cases = (
        select(Image.case_id, Analysis.pipeline_id)
        .join(Analysis, Analysis.image_id == Image.id)
        .where(Analysis.id.in_(analysis_ids))
        .distinct()
        .order_by(Image.case_id, Analysis.pipeline_id)  # the same order everywhere, so that nobody deadlocks
    )
    session.execute(
        upsert(CaseResult)
        .from_select(["case_id", "pipeline_id"], cases)
        .on_conflict_do_update(
            index_elements=["case_id", "pipeline_id"],
            set_={"state": "stale", "revision": CaseResult.revision + 1, "sent_at": None},
        )
    )


class StaleCase(NamedTuple):
    """A case to be summarised, as of ``revision``."""

    case_id: int
    pipeline_id: int
    revision: int


def stale_cases(session: Session, limit: int, resend_seconds: float) -> list[StaleCase]:
    """Cases whose analyses have all ended since they were last summarised, and that nobody was asked about lately."""
    analysis, image = aliased(Analysis), aliased(Image)
    still_active = (
        select(analysis.id)
        .join(image, image.id == analysis.image_id)
        .where(
            image.case_id == CaseResult.case_id,
            analysis.pipeline_id == CaseResult.pipeline_id,
            analysis.state.in_(ACTIVE),
        )
        .exists()
    )
    chosen = (
        select(CaseResult.case_id, CaseResult.pipeline_id)
        .where(
            CaseResult.state == "stale",
            or_(CaseResult.sent_at.is_(None), CaseResult.sent_at < func.now() - _seconds(resend_seconds)),
            ~still_active,
        )
        .order_by(CaseResult.updated_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    sent = (
        update(CaseResult)
        .where(CaseResult.case_id == chosen.c.case_id, CaseResult.pipeline_id == chosen.c.pipeline_id)
        .values(sent_at=func.now())
        .returning(CaseResult.case_id, CaseResult.pipeline_id, CaseResult.revision)
    )
    return [StaleCase(*row) for row in session.execute(sent)]


def write_case(
    session: Session, stale: StaleCase, *, summary: Mapping[str, Any], artefacts: Mapping[str, str], **columns: Any
) -> bool:
    """Write the summary of a case; False if an analysis of it has ended since and another summary is due.

    Args:
        session: an open transaction.
        stale: the case, and the revision that was summarised.
        summary: the whole summary as JSON.
        artefacts: object keys by name.
        columns: ``image_count``, ``cell_count``, ``modal_count``, ``iscn``.
    """
    written = (
        update(CaseResult)
        .where(
            CaseResult.case_id == stale.case_id,
            CaseResult.pipeline_id == stale.pipeline_id,
            CaseResult.revision == stale.revision,
        )
        .values(state="done", summary=dict(summary), artefacts=dict(artefacts), updated_at=func.now(), **columns)
    )
    return session.scalar(written.returning(CaseResult.case_id)) is not None


def overview(session: Session, errors: int = 10) -> dict[str, Any]:
    """What an operator asks first: analyses by state, what waits and since when, and the last errors."""
    counts = session.execute(select(Analysis.state, func.count()).group_by(Analysis.state)).all()
    waiting = session.execute(
        select(Analysis.priority, func.count(), func.extract("epoch", func.now() - func.min(Analysis.created_at)))
        .where(Analysis.state.in_(("pending", "queued")))
        .group_by(Analysis.priority)
        .order_by(Analysis.priority)
    ).all()
    last = session.execute(
        select(Image.file_name, Analysis.state, Analysis.reason, Analysis.error)
        .join(Image, Image.id == Analysis.image_id)
        .where(Analysis.reason.is_not(None))
        .order_by(Analysis.finished_at.desc().nulls_first())
        .limit(errors)
    ).all()
    names = {number: name for name, number in PRIORITIES.items()}
    by_state = dict(counts)
    return {
        "states": {state: by_state.get(state, 0) for state in (*ACTIVE, *ENDED)},
        "waiting": [
            {"priority": names.get(priority, str(priority)), "count": count, "oldest_seconds": round(float(age))}
            for priority, count, age in waiting
        ],
        "errors": [
            {"image": image, "state": state, "reason": reason, "sentence": sentence}
            for image, state, reason, sentence in last
        ],
    }
