"""Cron schedules that create campaigns, one per due time with any number of schedulers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import campaigns, pipelines
from db.schema import Campaign, Schedule


class BadSchedule(ValueError):
    """An invalid cron expression, time zone, pipeline, filter or name of a schedule."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A schedule that was due, and its new campaign."""

    schedule: str
    due_at: datetime
    campaign_id: int
    enqueued: int


def add(
    session: Session, name: str, cron: str, *, pipeline: str, filters: Mapping[str, Any], timezone: str = "UTC"
) -> Schedule:
    """Add a schedule that is first due after now.

    Args:
        session: an open transaction.
        name: unique name of the schedule.
        cron: five fields, such as ``0 2 * * *``.
        pipeline: alias, name or first characters of a digest; resolved when the schedule is due.
        filters: as for ``campaigns.create``.
        timezone: IANA name of the zone of the cron expression.

    Raises:
        BadSchedule: an argument is invalid, or the name is taken.
    """
    if not croniter.is_valid(cron):
        raise BadSchedule(f"{cron!r} is no cron expression; five fields are wanted, such as '0 2 * * *'")
    try:
        ZoneInfo(timezone)
        pipelines.resolve(session, pipeline)
        campaigns.matching_images(session, filters)
    except (ZoneInfoNotFoundError, ValueError, LookupError) as error:
        raise BadSchedule(str(error)) from error
    if session.scalar(select(Schedule.id).where(Schedule.name == name)):
        raise BadSchedule(f"there is a schedule {name!r} already; remove it first")
    schedule = Schedule(
        name=name, cron=cron, timezone=timezone, pipeline=pipeline, filters=dict(filters), last_due_at=func.now()
    )
    session.add(schedule)
    session.flush()
    return schedule


def remove(session: Session, name: str) -> bool:
    """Remove a schedule and keep its campaigns; return whether it existed."""
    return bool(session.execute(delete(Schedule).where(Schedule.name == name).returning(Schedule.id)).first())


def enable(session: Session, name: str, enabled: bool) -> bool:
    """Switch a schedule on or off and return whether it exists.

    Due times while it is off are skipped.
    """
    values = {"enabled": enabled, "last_due_at": func.now()}
    changed = session.execute(update(Schedule).where(Schedule.name == name).values(values).returning(Schedule.id))
    return changed.first() is not None


def list_all(session: Session) -> Sequence[Schedule]:
    """Return every schedule, by name."""
    return session.scalars(select(Schedule).order_by(Schedule.name)).all()


def current_problem(session: Session, schedule: Schedule) -> str | None:
    """Return why the schedule failed when last due, or why its pipeline cannot be used now."""
    try:
        pipelines.resolve(session, schedule.pipeline)
    except pipelines.UnknownPipeline as problem:
        return str(problem)
    return schedule.problem


def latest_due(schedule: Schedule, now: datetime) -> datetime | None:
    """Return the latest due time up to ``now``; None if it has a campaign already.

    Earlier due times are skipped after an outage: a campaign enqueues every image that matches, so a second one would
    enqueue nothing. When summer time ends, one local hour occurs twice; only its first occurrence counts.

    Args:
        schedule: with its latest due time.
        now: with a time zone.
    """
    zone = ZoneInfo(schedule.timezone)
    times = croniter(schedule.cron, now.replace(microsecond=0).astimezone(zone) + timedelta(seconds=1))
    while True:
        due: datetime = times.get_prev(datetime).astimezone(UTC)
        if not due.astimezone(zone).fold:
            break
    return due if due > schedule.last_due_at else None


def fire_due(session: Session, now: datetime | None = None) -> list[Fired]:
    """Create the campaigns of all schedules that are due, in the caller's transaction.

    A row lock serialises schedulers, ``last_due_at`` records the due time, and a unique constraint on (schedule, due
    time) forbids a second campaign. A schedule that fails, for example on an ambiguous pipeline, stays due with the
    reason in ``problem``.

    Args:
        session: an open transaction.
        now: with a time zone; the database's time by default.
    """
    moment = now or session.scalars(select(func.now())).one()
    enabled = select(Schedule).where(Schedule.enabled).with_for_update(skip_locked=True)
    fired = []
    for schedule in session.scalars(enabled).all():
        try:
            due = latest_due(schedule, moment)
            campaign = _create_campaign(session, schedule, due) if due else None
        except (LookupError, ValueError) as error:
            schedule.problem = str(error)
            continue
        schedule.problem = None
        schedule.last_due_at = due or schedule.last_due_at
        if due and campaign:
            fired.append(Fired(schedule.name, due, campaign.id, campaign.enqueued_count))
    return fired


def list_problems(session: Session) -> dict[str, str]:
    """Return the reason of each enabled schedule that failed when last due, by name."""
    failed = select(Schedule.name, Schedule.problem).where(Schedule.enabled, Schedule.problem.is_not(None))
    return {name: problem for name, problem in session.execute(failed) if problem}


def _create_campaign(session: Session, schedule: Schedule, due: datetime) -> Campaign | None:
    return campaigns.create(
        session,
        pipeline_id=pipelines.resolve(session, schedule.pipeline).id,
        filters=schedule.filters,
        name=schedule.name,
        schedule_id=schedule.id,
        due_at=due,
    )
