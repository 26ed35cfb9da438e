"""Campaigns: re-analyses of the images that match filters, and their progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db import campaign_control, queue, workers
from db.campaign_filters import build_conditions
from db.clock import interval
from db.pipelines import label, production_pipeline, require_usable
from db.schema import ACTIVE, ENDED, Analysis, AuditEvent, Campaign, Case, Image, Pipeline, Priority, State

PACE_WINDOW_SECONDS = 3600.0
SECONDS_PER_HOUR = 3600.0
PAUSED_SECONDS = 100 * 365 * 86400.0  # a delay that is longer is a pause


@dataclass(frozen=True, slots=True)
class CampaignProgress:
    """A campaign, its analyses by state, and the time that it still takes."""

    id: int
    name: str
    pipeline: str
    """Name of the pipeline."""
    digest: str
    """Digest of the pipeline."""
    pipeline_retired_at: datetime | None
    """Since when no new analysis may use the pipeline; None if it can be chosen."""
    filters: dict[str, Any]
    created_at: datetime
    due_at: datetime | None
    images: int
    """Images that matched the filters."""
    enqueued: int
    """Images that the pipeline had not analysed before."""
    state: str
    """running, paused, done or cancelled."""
    states: dict[str, int]
    """Analyses by state; states without analyses are left out."""
    held: int
    """Pending images that a pause, a rate limit or a failed attempt holds back."""
    ended: int
    seconds_left: int | None
    """At the pace of the last hour and the rate limit; None while paused, and before two analyses have ended."""


@dataclass(frozen=True, slots=True)
class CampaignEstimate:
    """What a campaign would do; its fields are the keys of the JSON of a dry run."""

    cases: int
    """Cases with an image that matches."""
    images: int
    """Images that match."""
    missing: int
    """Images that match and that the pipeline has not analysed; these are enqueued."""
    seconds_per_image: float | None
    """Mean computing time of the latest images; None if none was measured."""
    measured_with: str | None
    """Pipeline whose images were measured: this one, or else the one in production."""
    processes: int
    """Processes of live workers."""
    hours: float | None
    """Of all processes together, or of one if there are none; None without a measured time."""


def matching_images(session: Session, filters: Mapping[str, Any]) -> Select[int]:
    """Return the query for the ids of all images that match all ``filters``.

    Args:
        session: an open transaction.
        filters: as :func:`db.campaign_filters.build_conditions` takes them.

    Raises:
        BadFilter: a filter cannot be read, or a field is unknown.
    """
    return select(Image.id).join(Case, Image.case_id == Case.id).where(*build_conditions(session, filters))


def estimate(session: Session, pipeline_id: int, filters: Mapping[str, Any]) -> CampaignEstimate:
    """Return what a campaign would enqueue, and how long that takes; nothing is written.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline that would analyse the images.
        filters: as for ``matching_images``.

    Raises:
        BadFilter: a filter cannot be read, or a field is unknown.
        RetiredPipeline: no new analysis may use the pipeline.
    """
    require_usable(session, pipeline_id)
    images = matching_images(session, filters).add_columns(Image.case_id).subquery()
    known = exists().where(Analysis.image_id == images.c.id, Analysis.pipeline_id == pipeline_id)
    counts = select(func.count(images.c.case_id.distinct()), func.count(), func.count().filter(~known))
    cases, matching, missing = session.execute(counts.select_from(images)).one()
    seconds, measured_with = _measured_speed(session, pipeline_id)
    processes = workers.count_processes(session)
    hours = None if seconds is None else round(missing * seconds / max(processes, 1) / SECONDS_PER_HOUR, 2)
    return CampaignEstimate(cases, matching, missing, seconds, measured_with, processes, hours)


def create(
    session: Session,
    *,
    pipeline_id: int,
    filters: Mapping[str, Any],
    name: str | None = None,
    priority: Priority = Priority.BACKLOG,
    schedule_id: int | None = None,
    due_at: datetime | None = None,
    images_per_hour: float | None = None,
) -> Campaign | None:
    """Create a campaign and enqueue the matching images that its pipeline has not analysed.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline that analyses the images.
        filters: as for ``matching_images``.
        name: for people; "by hand" by default.
        priority: of the analyses.
        schedule_id: the schedule that creates the campaign.
        due_at: when the schedule was due.
        images_per_hour: images that are released per hour, more than 0; None for all at once.

    Returns:
        The campaign; None if the schedule has one for this due time already.

    Raises:
        BadFilter: a filter cannot be read, or a field is unknown.
        RetiredPipeline: no new analysis may use the pipeline.
    """
    require_usable(session, pipeline_id)
    queue.keep_cases(session)
    images = matching_images(session, filters)
    values = {
        "name": name or "by hand",
        "pipeline_id": pipeline_id,
        "filters": dict(filters),
        "priority": priority,
        "schedule_id": schedule_id,
        "due_at": due_at,
        "image_count": select(func.count()).select_from(images.subquery()).scalar_subquery(),
    }
    campaign_id = session.scalar(upsert(Campaign).values(**values).on_conflict_do_nothing().returning(Campaign.id))
    if campaign_id is None:
        return None
    enqueued = queue.enqueue_selected(session, images, pipeline_id, priority, campaign_id)
    session.execute(update(Campaign).where(Campaign.id == campaign_id).values(enqueued_count=enqueued))
    if images_per_hour is not None:
        campaign_control.spread(session, campaign_id, images_per_hour)
    return session.get(Campaign, campaign_id, populate_existing=True)


def progress(session: Session, campaign_id: int) -> CampaignProgress | None:
    """Return the progress of a campaign; None if there is no such campaign."""
    row = session.execute(
        select(Campaign, Pipeline.name, Pipeline.digest, Pipeline.retired_at)
        .join(Pipeline)
        .where(Campaign.id == campaign_id)
    ).first()
    if row is None:
        return None
    campaign, pipeline, digest, retired_at = row
    states = queue.count_by_state(session, Analysis.campaign_id == campaign_id)
    ended = sum(states[state] for state in ENDED)
    held, last_release = _holds(session, campaign_id)
    state = _state(session, campaign_id, any(states[each] for each in ACTIVE), last_release)
    paced = None if state == "paused" else _seconds_left(session, campaign_id, campaign.enqueued_count - ended)
    return CampaignProgress(
        id=campaign.id,
        name=campaign.name,
        pipeline=pipeline,
        digest=digest,
        pipeline_retired_at=retired_at,
        filters=campaign.filters,
        created_at=campaign.created_at,
        due_at=campaign.due_at,
        images=campaign.image_count,
        enqueued=campaign.enqueued_count,
        state=state,
        states={state.value: count for state, count in states.items()},
        held=held,
        ended=ended,
        seconds_left=None if paced is None else max(paced, round(last_release)),
    )


def list_progress(session: Session, limit: int | None = None) -> list[CampaignProgress]:
    """Return the progress of the latest campaigns, newest first; of all without a ``limit``."""
    ids = session.scalars(select(Campaign.id).order_by(Campaign.id.desc()).limit(limit)).all()
    return [report for campaign_id in ids if (report := progress(session, campaign_id))]


def _measured_speed(session: Session, pipeline_id: int) -> tuple[float | None, str | None]:
    """Return the seconds per image, and the pipeline that was measured."""
    for candidate in (pipeline_id, session.scalar(production_pipeline())):
        if candidate is not None and (seconds := queue.seconds_per_image(session, candidate)) is not None:
            return round(seconds, 3), label(session.get_one(Pipeline, candidate))
    return None, None


def _holds(session: Session, campaign_id: int) -> tuple[int, float]:
    """Return the number of images held back, and the seconds until the last one is released."""
    seconds = func.extract("epoch", func.max(Analysis.not_before) - func.now())
    held = (Analysis.campaign_id == campaign_id, Analysis.state == State.PENDING, Analysis.not_before > func.now())
    count, last = session.execute(select(func.count(), seconds).where(*held)).one()
    return count, float(last or 0)


def _state(session: Session, campaign_id: int, is_active: bool, last_release: float) -> str:
    if is_active:
        return "paused" if last_release > PAUSED_SECONDS else "running"
    subject = campaign_control.subject_of(campaign_id)
    cancelled = select(AuditEvent.id).where(AuditEvent.action == campaign_control.CANCELLED)
    return "done" if session.scalar(cancelled.where(AuditEvent.subject == subject).limit(1)) is None else "cancelled"


def _seconds_left(session: Session, campaign_id: int, images_left: int) -> int | None:
    if not images_left:
        return 0
    first, last = func.min(Analysis.finished_at), func.max(Analysis.finished_at)
    recent = Analysis.finished_at > func.now() - interval(PACE_WINDOW_SECONDS)
    count, span = session.execute(
        select(func.count(), func.extract("epoch", last - first)).where(Analysis.campaign_id == campaign_id, recent)
    ).one()
    return round(images_left * float(span) / (count - 1)) if count > 1 and span else None
