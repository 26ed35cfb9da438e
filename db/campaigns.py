"""Campaigns: which images one pipeline should see as well, and how far it is with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db import queue
from db.schema import ENDED, PRIORITIES, Analysis, Campaign, Case, CaseResult, Image, Pipeline, PipelineAlias, QcMetrics

PRODUCTION = "production"


class BadFilter(ValueError):
    """A filter that does not exist, or whose value cannot be read."""


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value)


def _filters(filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    """Conditions on ``images`` joined with ``cases``.

    Raises:
        BadFilter: with the filters that there are.
    """
    in_production = select(PipelineAlias.pipeline_id).where(PipelineAlias.alias == PRODUCTION).scalar_subquery()
    conditions: dict[str, Callable[[str], ColumnElement[bool]]] = {
        "case": lambda value: Case.accession == value,
        "lab": lambda value: Case.lab == value,
        "tissue": lambda value: Case.tissue == value,
        "banding": lambda value: Image.banding == value,
        "microscope": lambda value: Image.microscope == value,
        "since": lambda value: Image.created_at >= _moment(value),
        "until": lambda value: Image.created_at < _moment(value),
        "iscn": lambda value: Case.id.in_(
            select(CaseResult.case_id).where(CaseResult.pipeline_id == in_production, CaseResult.iscn == value)
        ),
        "flag": lambda value: Image.id.in_(
            select(Analysis.image_id)
            .join(QcMetrics, QcMetrics.analysis_id == Analysis.id)
            .where(Analysis.pipeline_id == in_production, literal(value) == QcMetrics.flags.any_())
        ),
    }
    found = []
    for name, value in filters.items():
        if name not in conditions:
            raise BadFilter(f"there is no filter {name!r}; there are: {', '.join(conditions)}")
        try:
            found.append(conditions[name](value))
        except ValueError as problem:
            raise BadFilter(f"{name}={value}: {problem}") from problem
    return found


def matching(filters: Mapping[str, str]) -> Select[int]:
    """Ids of the images that match all ``filters``; of all images if there are none.

    Raises:
        BadFilter: with the filters that there are.
    """
    return select(Image.id).join(Case, Image.case_id == Case.id).where(*_filters(filters))


def create(
    session: Session,
    *,
    pipeline_id: int,
    filters: Mapping[str, str],
    name: str | None = None,
    priority: int = PRIORITIES["backlog"],
    schedule_id: int | None = None,
    due_at: datetime | None = None,
) -> Campaign | None:
    """A campaign, its missing (image, pipeline) pairs pending; None if this schedule's due time has one already.

    Raises:
        BadFilter: with the filters that there are.
    """
    images = matching(filters)
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


def progress(session: Session, campaign_id: int) -> dict[str, Any] | None:
    """How far a campaign is: its analyses by state, and the seconds left at the pace of the last hour."""
    row = session.execute(
        select(Campaign, Pipeline.name, Pipeline.digest).join(Pipeline).where(Campaign.id == campaign_id)
    ).first()
    if row is None:
        return None
    campaign, pipeline, digest = row
    mine = Analysis.campaign_id == campaign_id
    by_state = select(Analysis.state, func.count()).where(mine).group_by(Analysis.state)
    states: dict[str, int] = dict(session.execute(by_state).all())
    ended = sum(states.get(state, 0) for state in ENDED)
    recent, span = session.execute(
        select(
            func.count(), func.extract("epoch", func.max(Analysis.finished_at) - func.min(Analysis.finished_at))
        ).where(mine, Analysis.finished_at > func.now() - func.make_interval(0, 0, 0, 0, 1))
    ).one()
    left = campaign.enqueued_count - ended
    return {
        "id": campaign.id,
        "name": campaign.name,
        "pipeline": pipeline,
        "digest": digest,
        "filters": campaign.filters,
        "created_at": campaign.created_at,
        "due_at": campaign.due_at,
        "images": campaign.image_count,
        "enqueued": campaign.enqueued_count,
        "states": states,
        "ended": ended,
        "seconds_left": round(left * float(span) / (recent - 1))
        if left and recent > 1 and span
        else (None if left else 0),
    }


def listing(session: Session) -> list[dict[str, Any]]:
    """Every campaign with its progress, newest first."""
    ids = session.scalars(select(Campaign.id).order_by(Campaign.id.desc())).all()
    return [found for campaign_id in ids if (found := progress(session, campaign_id))]
