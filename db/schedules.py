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
from db.enums import MissedPolicy, OverlapPolicy
from db.schema import ACTIVE, Analysis, Campaign, Schedule

MISSED_SECONDS = 3600.0  # after a due time, from which on it counts as missed
CLOCK_STEP_SECONDS = 3600.0  # a due time that is recorded further ahead comes from a wrong clock


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
    session: Session,
    name: str,
    cron: str,
    *,
    pipeline: str,
    filters: Mapping[str, Any],
    timezone: str = "UTC",
    missed: MissedPolicy = MissedPolicy.LATEST,
    overlap: OverlapPolicy = OverlapPolicy.ALLOW,
) -> Schedule:
    """Add a schedule that is first due after now.

    Args:
        session: an open transaction.
        name: unique name of the schedule.
        cron: five fields, such as ``0 2 * * *``.
        pipeline: alias, name or first characters of a digest; resolved when the schedule is due.
        filters: as for ``campaigns.create``.
        timezone: IANA name of the zone of the cron expression.
        missed: what happens to due times that passed while no scheduler ran.
        overlap: what happens when the schedule is due and its campaign before has not ended.

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
        name=name,
        cron=cron,
        timezone=timezone,
        pipeline=pipeline,
        filters=dict(filters),
        missed=missed,
        overlap=overlap,
        last_due_at=func.now(),
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
    """Return the latest due time up to ``now``; None if it was dealt with already.

    Earlier due times are skipped after an outage: a campaign enqueues every image that matches, so a second one would
    enqueue nothing. When summer time ends, one local hour occurs twice; only its first occurrence counts. A recorded
    due time far in the future comes from a clock that was wrong, and counts as none.

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
    is_wrong = schedule.last_due_at > now + timedelta(seconds=CLOCK_STEP_SECONDS)
    return due if due > schedule.last_due_at or is_wrong else None


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
            decision = _decide(session, schedule, due, moment) if due else OverlapPolicy.WAIT
            campaign = _create_campaign(session, schedule, due) if due and decision is OverlapPolicy.ALLOW else None
        except (LookupError, ValueError) as error:
            schedule.problem = str(error)
            continue
        schedule.problem = None
        if due and decision is not OverlapPolicy.WAIT:
            schedule.last_due_at = due
        if due and campaign:
            fired.append(Fired(schedule.name, due, campaign.id, campaign.enqueued_count))
    return fired


def list_problems(session: Session) -> dict[str, str]:
    """Return the reason of each enabled schedule that failed when last due, by name."""
    failed = select(Schedule.name, Schedule.problem).where(Schedule.enabled, Schedule.problem.is_not(None))
    return {name: problem for name, problem in session.execute(failed) if problem}


def _decide(session: Session, schedule: Schedule, due: datetime, now: datetime) -> OverlapPolicy:
    """Return whether a due campaign is created, waits, or is skipped."""
    is_missed = now - due > timedelta(seconds=MISSED_SECONDS)
    policy = OverlapPolicy(schedule.overlap)
    if policy is not OverlapPolicy.ALLOW and _has_active_campaign(session, schedule):
        return policy
    if is_missed and schedule.missed == MissedPolicy.SKIP and policy is not OverlapPolicy.WAIT:
        return OverlapPolicy.SKIP
    return OverlapPolicy.ALLOW


def _has_active_campaign(session: Session, schedule: Schedule) -> bool:
    active = select(Analysis.id).join(Campaign, Campaign.id == Analysis.campaign_id)
    of_schedule = active.where(Campaign.schedule_id == schedule.id, Analysis.state.in_(ACTIVE))
    return session.scalar(of_schedule.limit(1)) is not None


def _create_campaign(session: Session, schedule: Schedule, due: datetime) -> Campaign | None:
    return campaigns.create(
        session,
        pipeline_id=pipelines.resolve(session, schedule.pipeline).id,
        filters=schedule.filters,
        name=schedule.name,
        schedule_id=schedule.id,
        due_at=due,
    )
