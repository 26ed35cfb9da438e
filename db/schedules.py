"""Cron schedules that create campaigns, each due time once however many schedulers look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from db import campaigns, pipelines
from db.schema import Campaign, Schedule


class BadSchedule(ValueError):
    """A cron expression, time zone, pipeline or filter that cannot be understood."""


@dataclass(frozen=True, slots=True)
class Fired:
    """A schedule that was due, and the campaign made of it."""

    schedule: str
    due_at: datetime
    campaign_id: int
    enqueued: int


def add(
    session: Session, name: str, cron: str, *, pipeline: str, filters: Mapping[str, str], timezone: str = "UTC"
) -> Schedule:
    """A schedule that is first due after now.

    Raises:
        BadSchedule: with what is wrong in it.
    """
    if not croniter.is_valid(cron):
        raise BadSchedule(f"{cron!r} is no cron expression; five fields are wanted, such as '0 2 * * *'")
    try:
        ZoneInfo(timezone)
        pipelines.resolve(session, pipeline)
        campaigns.matching(filters)
    except (ZoneInfoNotFoundError, ValueError, LookupError) as problem:
        raise BadSchedule(str(problem)) from problem
    if session.scalar(select(Schedule.id).where(Schedule.name == name)):
        raise BadSchedule(f"there is a schedule {name!r} already; remove it first")
    schedule = Schedule(
        name=name, cron=cron, timezone=timezone, pipeline=pipeline, filters=dict(filters), last_due_at=func.now()
    )
    session.add(schedule)
    session.flush()
    return schedule


def remove(session: Session, name: str) -> bool:
    """Whether there was such a schedule; its campaigns stay."""
    return bool(session.execute(delete(Schedule).where(Schedule.name == name).returning(Schedule.id)).first())


def enable(session: Session, name: str, enabled: bool) -> bool:
    """Switch a schedule on or off; whether there was one. What fell due while it was off is not made up for."""
    values = {"enabled": enabled, "last_due_at": func.now()}
    changed = session.execute(update(Schedule).where(Schedule.name == name).values(values).returning(Schedule.id))
    return changed.first() is not None


def listing(session: Session) -> Sequence[Schedule]:
    """Every schedule, by name."""
    return session.scalars(select(Schedule).order_by(Schedule.name)).all()


def latest_due(schedule: Schedule, now: datetime) -> datetime | None:
    """The last time up to ``now`` that ``schedule`` was due and has not been acted on.

    After an outage only this one counts: a campaign re-analyses everything that matches, so the missed ones would find
    nothing left to do. In the hour that comes twice when summer time ends, the first pass counts.
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

    A row lock lets one scheduler at a time act on a schedule, ``last_due_at`` tells the next one that it is done, and
    the unique (schedule, due time) of ``campaigns`` makes a second campaign impossible. A schedule that cannot be acted
    on, because its pipeline has become ambiguous for example, stays due and says why in ``problem``.
    """
    moment = now or session.scalars(select(func.now())).one()
    enabled = select(Schedule).where(Schedule.enabled).with_for_update(skip_locked=True)
    fired = []
    for schedule in session.scalars(enabled).all():
        try:
            due = latest_due(schedule, moment)
            campaign = _campaign(session, schedule, due) if due else None
        except (LookupError, ValueError) as problem:
            schedule.problem = str(problem)
            continue
        schedule.problem = None
        schedule.last_due_at = due or schedule.last_due_at
        if due and campaign:
            fired.append(Fired(schedule.name, due, campaign.id, campaign.enqueued_count))
    return fired


def troubled(session: Session) -> dict[str, str]:
    """Schedules that could not be acted on when last due, each with the reason."""
    found = select(Schedule.name, Schedule.problem).where(Schedule.enabled, Schedule.problem.is_not(None))
    return {name: problem for name, problem in session.execute(found) if problem}


def _campaign(session: Session, schedule: Schedule, due: datetime) -> Campaign | None:
    return campaigns.create(
        session,
        pipeline_id=pipelines.resolve(session, schedule.pipeline).id,
        filters=schedule.filters,
        name=schedule.name,
        schedule_id=schedule.id,
        due_at=due,
    )
