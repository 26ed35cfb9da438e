"""Campaigns: re-analyses of the images that match filters, and their progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db import queue
from db.accessions import names_case
from db.clock import interval
from db.pipelines import production_pipeline, require_usable
from db.schema import ENDED, Analysis, Campaign, Case, CaseResult, Image, Pipeline, Priority, QcMetrics
from db.spelling import normalise

PACE_WINDOW_SECONDS = 3600.0


class BadFilter(ValueError):
    """A filter with an unknown name or an unreadable value."""


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
    states: dict[str, int]
    """Analyses by state; states without analyses are left out."""
    ended: int
    seconds_left: int | None
    """At the pace of the last hour; None before two analyses have ended."""


def matching_images(filters: Mapping[str, str]) -> Select[int]:
    """Return the query for the ids of all images that match all ``filters``.

    Raises:
        BadFilter: a name is unknown, or a value cannot be read.
    """
    return select(Image.id).join(Case, Image.case_id == Case.id).where(*_conditions(filters))


def create(
    session: Session,
    *,
    pipeline_id: int,
    filters: Mapping[str, str],
    name: str | None = None,
    priority: Priority = Priority.BACKLOG,
    schedule_id: int | None = None,
    due_at: datetime | None = None,
) -> Campaign | None:
    """Create a campaign and enqueue the matching images that its pipeline has not analysed.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline that analyses the images.
        filters: values by name of the filter.
        name: for people; "by hand" by default.
        priority: of the analyses.
        schedule_id: the schedule that creates the campaign.
        due_at: when the schedule was due.

    Returns:
        The campaign; None if the schedule has one for this due time already.

    Raises:
        BadFilter: a name is unknown, or a value cannot be read.
        RetiredPipeline: no new analysis may use the pipeline.
    """
    require_usable(session, pipeline_id)
    images = matching_images(filters)
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
        states={state.value: count for state, count in states.items()},
        ended=ended,
        seconds_left=_seconds_left(session, campaign_id, campaign.enqueued_count - ended),
    )


def list_progress(session: Session) -> list[CampaignProgress]:
    """Return the progress of every campaign, newest first."""
    ids = session.scalars(select(Campaign.id).order_by(Campaign.id.desc())).all()
    return [report for campaign_id in ids if (report := progress(session, campaign_id))]


def _seconds_left(session: Session, campaign_id: int, images_left: int) -> int | None:
    if not images_left:
        return 0
    first, last = func.min(Analysis.finished_at), func.max(Analysis.finished_at)
    recent = Analysis.finished_at > func.now() - interval(PACE_WINDOW_SECONDS)
    count, span = session.execute(
        select(func.count(), func.extract("epoch", last - first)).where(Analysis.campaign_id == campaign_id, recent)
    ).one()
    return round(images_left * float(span) / (count - 1)) if count > 1 and span else None


def _conditions(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Return conditions on ``images`` joined with ``cases``."""
    in_production = production_pipeline().scalar_subquery()
    makers: dict[str, Callable[[str], ColumnElement[bool]]] = {
        "case": names_case,
        "lab": lambda value: Case.lab.in_((value, normalise(value))),
        "tissue": lambda value: Case.tissue.in_((value, normalise(value))),
        "banding": lambda value: Image.banding.in_((value, normalise(value))),
        "microscope": lambda value: Image.microscope.in_((value, normalise(value))),
        "since": lambda value: Image.created_at >= datetime.fromisoformat(value),
        "until": lambda value: Image.created_at < datetime.fromisoformat(value),
        "iscn": lambda value: Case.id.in_(
            select(CaseResult.case_id).where(CaseResult.pipeline_id == in_production, CaseResult.iscn == value)
        ),
        "flag": lambda value: Image.id.in_(
            select(Analysis.image_id)
            .join(QcMetrics, QcMetrics.analysis_id == Analysis.id)
            .where(Analysis.pipeline_id == in_production, literal(value) == QcMetrics.flags.any_())
        ),
    }
    conditions = []
    for name, value in filters.items():
        if name not in makers:
            raise BadFilter(f"there is no filter {name!r}; there are: {', '.join(makers)}")
        try:
            conditions.append(makers[name](value))
        except ValueError as error:
            raise BadFilter(f"{name}={value}: {error}") from error
    return conditions
