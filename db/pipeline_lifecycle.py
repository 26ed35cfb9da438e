"""Promotion, rollback and retirement of pipeline versions, each with an audit event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db import audit, pipelines
from db.pipelines import PRODUCTION, label
from db.schema import ACTIVE, Analysis, Campaign, Pipeline, Schedule

PROMOTED = "pipeline.promoted"
ROLLED_BACK = "pipeline.rolled_back"
RETIRED = "pipeline.retired"
RESTORED = "pipeline.restored"


class RefusedChange(Exception):
    """A change that would leave work without its pipeline; the message says what to do first."""


@dataclass(frozen=True, slots=True)
class Promotion:
    """The pipeline in production, and the one before the change."""

    pipeline: Pipeline
    previous: Pipeline | None

    @property
    def changed(self) -> bool:
        """Whether another pipeline was in production before."""
        return self.previous is None or self.previous.id != self.pipeline.id


def current(session: Session) -> Pipeline | None:
    """Return the pipeline in production; None before the first promotion."""
    return session.scalars(select(Pipeline).where(Pipeline.id.in_(pipelines.production_pipeline()))).first()


def promote(session: Session, pipeline_id: int, *, actor: str, because: str | None = None, **figures: Any) -> Promotion:
    """Point ``production`` to a pipeline and record the change.

    Nothing is recorded if it points there already.

    Args:
        session: an open transaction.
        pipeline_id: the next pipeline in production.
        actor: who promotes it, as ``user@host``.
        because: why.
        figures: what the decision is based on, kept in the audit trail as JSON.

    Raises:
        RetiredPipeline: the pipeline is retired.
    """
    _lock(session)
    pipeline = pipelines.require_usable(session, pipeline_id)
    return _move(session, pipeline, PROMOTED, actor, because, **figures)


def rollback(session: Session, *, actor: str, because: str | None = None) -> Promotion:
    """Return ``production`` to the pipeline before the last promotion that was not rolled back.

    Args:
        session: an open transaction.
        actor: who rolls back, as ``user@host``.
        because: why.

    Raises:
        RefusedChange: no pipeline was in production before.
        RetiredPipeline: the pipeline before is retired.
    """
    _lock(session)
    history = _history(session)
    if len(history) < 2:  # the present one and one before it
        raise RefusedChange(
            "no other pipeline was in production before; `karyo models list` shows which ones can be promoted"
        )
    earlier = session.scalars(select(Pipeline.id).where(Pipeline.digest == history[-2])).one()
    return _move(session, pipelines.require_usable(session, earlier), ROLLED_BACK, actor, because)


def retire(session: Session, pipeline_id: int, *, actor: str, because: str | None = None) -> Pipeline:
    """Forbid new analyses with a pipeline; its results stay.

    Args:
        session: an open transaction.
        pipeline_id: the pipeline; nothing happens if it is retired already.
        actor: who retires it, as ``user@host``.
        because: why.

    Raises:
        RefusedChange: the pipeline is in production, or an analysis, a campaign or an enabled schedule needs it.
    """
    _lock(session)
    pipeline = _locked(session, pipeline_id)
    if pipeline.retired_at is None:
        _refuse_if_needed(session, pipeline)
        pipeline.retired_at = session.scalars(select(func.now())).one()
        _record(session, pipeline, RETIRED, actor, because)
    return pipeline


def restore(session: Session, pipeline_id: int, *, actor: str, because: str | None = None) -> Pipeline:
    """Allow new analyses with a retired pipeline again; the arguments are those of ``retire``."""
    pipeline = _locked(session, pipeline_id)
    if pipeline.retired_at is not None:
        pipeline.retired_at = None
        _record(session, pipeline, RESTORED, actor, because)
    return pipeline


def _lock(session: Session) -> None:
    """Serialise promotions and retirements; readers of the aliases do not wait."""
    session.execute(text("LOCK TABLE karyo.pipeline_aliases IN SHARE ROW EXCLUSIVE MODE"))


def _locked(session: Session, pipeline_id: int) -> Pipeline:
    # FOR UPDATE waits for transactions that enqueue analyses with the pipeline, and they for it.
    locked = select(Pipeline).where(Pipeline.id == pipeline_id).with_for_update()
    return session.scalars(locked.execution_options(populate_existing=True)).one()


def _move(
    session: Session, pipeline: Pipeline, action: str, actor: str, because: str | None, **figures: Any
) -> Promotion:
    promotion = Promotion(pipeline, current(session))
    if promotion.changed:
        pipelines.set_alias(session, PRODUCTION, pipeline.id)
        previous = promotion.previous.digest if promotion.previous else None
        _record(session, pipeline, action, actor, because, previous=previous, **figures)
    return promotion


def _record(session: Session, pipeline: Pipeline, action: str, actor: str, because: str | None, **detail: Any) -> None:
    audit.append(
        session,
        actor=actor,
        action=action,
        subject=f"pipeline:{pipeline.digest}",
        digest=pipeline.digest,
        name=pipeline.name,
        because=because,
        **detail,
    )


def _history(session: Session) -> list[str]:
    """Return the digests that were in production and not rolled back, the present one last."""
    history: list[str] = []

    def follow(digest: str | None) -> None:
        if digest is not None and history[-1:] != [digest]:
            history.append(digest)

    for event in audit.list_events(session, PROMOTED, ROLLED_BACK):
        follow(event.detail["previous"])  # differs if the alias was moved without an event
        if event.action == ROLLED_BACK:
            history.pop()
        follow(event.detail["digest"])
    in_production = current(session)
    follow(in_production.digest if in_production else None)
    return history


def _refuse_if_needed(session: Session, pipeline: Pipeline) -> None:
    name = f"pipeline {label(pipeline)}"
    in_production = current(session)
    if in_production is not None and in_production.id == pipeline.id:
        raise RefusedChange(f"{name} is in production; promote another one first")
    unfinished = (
        select(Campaign.id, Campaign.name, func.count())
        .select_from(Analysis)
        .outerjoin(Campaign, Campaign.id == Analysis.campaign_id)
        .where(Analysis.pipeline_id == pipeline.id, Analysis.state.in_(ACTIVE))
        .group_by(Campaign.id)
        .order_by(Campaign.id)
    )
    if rows := session.execute(unfinished).all():
        campaigns = ", ".join(f"{campaign} {title!r}" for campaign, title, _ in rows if campaign is not None)
        of_campaigns = f", also of campaign {campaigns}" if campaigns else ""
        raise RefusedChange(
            f"{name} has {sum(count for *_, count in rows)} unfinished analyses{of_campaigns}; "
            "retire it when they have ended"
        )
    if schedules := [
        repr(schedule.name) for schedule in _enabled_schedules(session) if _means(session, schedule, pipeline)
    ]:
        raise RefusedChange(
            f"{name} is what schedule {', '.join(schedules)} runs; `karyo schedule disable` or `remove` it first"
        )


def _enabled_schedules(session: Session) -> list[Schedule]:
    return list(session.scalars(select(Schedule).where(Schedule.enabled).order_by(Schedule.name)))


def _means(session: Session, schedule: Schedule, pipeline: Pipeline) -> bool:
    try:
        return pipelines.resolve(session, schedule.pipeline).id == pipeline.id
    except pipelines.UnknownPipeline:
        return False
