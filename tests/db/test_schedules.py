"""Schedules: one campaign per due time, after outages and with several schedulers."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text, update

from db import schedules
from db.schema import Campaign, Schedule


def moment(value: str) -> datetime:
    return datetime.fromisoformat(value).replace(tzinfo=UTC)


@pytest.fixture
def nightly(laboratory: Any) -> Any:
    """A schedule for 02:00 in Berlin, created on 1 March 2026, with one image."""
    laboratory.pipeline("stream", alias="nightly")
    laboratory.images(1)
    with laboratory.sessions.begin() as session:
        schedules.add(session, "night", "0 2 * * *", pipeline="nightly", filters={}, timezone="Europe/Berlin")
        session.execute(text("UPDATE karyo.schedules SET last_due_at = '2026-03-01 12:00Z'"))
    return laboratory


def fire(laboratory: Any, now: str) -> list[datetime]:
    with laboratory.sessions.begin() as session:
        return [fired.due_at for fired in schedules.fire_due(session, moment(now))]


def test_a_due_time_fires_once(nightly: Any) -> None:
    assert fire(nightly, "2026-03-02 00:59:59") == []
    assert fire(nightly, "2026-03-02 01:00:00") == [moment("2026-03-02 01:00")]
    assert fire(nightly, "2026-03-02 01:00:00.5") == []
    assert fire(nightly, "2026-03-03 01:00:07") == [moment("2026-03-03 01:00")]


def test_summer_time_moves_the_due_time(nightly: Any) -> None:
    assert fire(nightly, "2026-07-01 00:30:00") == [moment("2026-07-01 00:00")]


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"], ids=["hour that is skipped", "hour that comes twice"])
def test_nights_of_clock_changes_fire_once(nightly: Any, day: str) -> None:
    midnight = moment(day)
    fire(nightly, str((midnight - timedelta(hours=6)).replace(tzinfo=None)))
    fired = [fire(nightly, str((midnight + timedelta(minutes=m)).replace(tzinfo=None))) for m in range(-120, 600, 10)]
    assert len([due for tick in fired for due in tick]) == 1


def test_after_an_outage_the_latest_due_time_fires_alone(nightly: Any) -> None:
    assert fire(nightly, "2026-03-09 12:00:00") == [moment("2026-03-09 01:00")]
    assert fire(nightly, "2026-03-09 12:00:01") == []


def test_concurrent_schedulers_create_one_campaign(nightly: Any) -> None:
    gate = threading.Barrier(4)

    def tick() -> list[datetime]:
        gate.wait()
        return fire(nightly, "2026-03-02 01:00:01")

    with ThreadPoolExecutor(4) as pool:
        fired = [future.result() for future in [pool.submit(tick) for _ in range(4)]]
    assert sum(map(len, fired)) == 1
    with nightly.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Campaign)) == 1


def test_an_alias_is_resolved_when_due(nightly: Any) -> None:
    newer = nightly.pipeline("newer", alias="nightly")
    fire(nightly, "2026-03-02 01:00:00")
    with nightly.sessions() as session:
        (campaign,) = session.scalars(select(Campaign))
        assert (campaign.pipeline_id, campaign.name, campaign.enqueued_count) == (newer, "night", 1)


def test_a_failing_schedule_records_its_problem_and_stops_no_other(nightly: Any) -> None:
    with nightly.sessions.begin() as session:
        schedules.add(session, "also", "0 2 * * *", pipeline="nightly", filters={}, timezone="Europe/Berlin")
        session.execute(text("UPDATE karyo.schedules SET last_due_at = '2026-03-01 12:00Z'"))
        session.execute(text("UPDATE karyo.schedules SET pipeline = '000000' WHERE name = 'night'"))
    nightly.pipeline("newer")
    assert fire(nightly, "2026-03-02 01:00:00") == [moment("2026-03-02 01:00")]
    with nightly.sessions() as session:
        ((name, problem),) = schedules.list_problems(session).items()
    assert name == "night"
    assert "2 pipelines have a digest that starts with 000000" in problem
    with nightly.sessions.begin() as session:
        session.execute(text("UPDATE karyo.schedules SET pipeline = 'newer' WHERE name = 'night'"))
    assert fire(nightly, "2026-03-02 01:00:09") == [moment("2026-03-02 01:00")]
    with nightly.sessions() as session:
        assert schedules.list_problems(session) == {}


def test_a_disabled_schedule_skips_its_due_times(nightly: Any) -> None:
    with nightly.sessions.begin() as session:
        assert schedules.enable(session, "night", False)
        assert not schedules.enable(session, "day", False)
    assert fire(nightly, "2026-03-05 12:00:00") == []
    with nightly.sessions.begin() as session:
        assert schedules.enable(session, "night", True)
        assert schedules.fire_due(session) == []


def test_a_removed_schedule_keeps_its_campaigns(nightly: Any) -> None:
    fire(nightly, "2026-03-02 01:00:00")
    with nightly.sessions.begin() as session:
        assert schedules.remove(session, "night")
        assert not schedules.remove(session, "night")
        assert schedules.list_all(session) == []
        assert [campaign.schedule_id for campaign in session.scalars(select(Campaign))] == [None]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cron": "every night"}, "no cron expression"),
        ({"timezone": "Atlantis/City"}, "Atlantis"),
        ({"pipeline": "weekly"}, "there is no pipeline 'weekly'"),
        ({"filters": {"colour": "red"}}, "there is no field 'colour'"),
        ({"name": "night"}, "there is a schedule 'night' already"),
    ],
)
def test_invalid_schedules_are_rejected(nightly: Any, changes: dict[str, Any], sentence: str) -> None:
    values: dict[str, Any] = {"name": "n", "cron": "0 2 * * *", "pipeline": "nightly", "filters": {}} | changes
    with nightly.sessions.begin() as session, pytest.raises(schedules.BadSchedule, match=sentence):
        schedules.add(session, values.pop("name"), values.pop("cron"), **values)


def set_policy(laboratory: Any, **policy: str) -> None:
    with laboratory.sessions.begin() as session:
        session.execute(update(Schedule).values(policy))


def test_a_missed_night_is_skipped_by_policy_and_a_late_scheduler_is_not(nightly: Any) -> None:
    set_policy(nightly, missed="skip")
    assert fire(nightly, "2026-03-09 12:00:00") == []
    assert fire(nightly, "2026-03-10 01:59:00") == [moment("2026-03-10 01:00")]
    assert fire(nightly, "2026-03-10 12:00:00") == []


@pytest.mark.parametrize(
    ("policy", "while_it_runs", "after_its_end"),
    [
        ("allow", [moment("2026-03-03 01:00")], []),
        ("wait", [], [moment("2026-03-03 01:00")]),
        ("skip", [], []),
    ],
)
def test_a_due_time_during_the_campaign_before_follows_the_policy(
    nightly: Any, policy: str, while_it_runs: list[datetime], after_its_end: list[datetime]
) -> None:
    set_policy(nightly, overlap=policy, missed="skip")
    assert fire(nightly, "2026-03-02 01:00:00") == [moment("2026-03-02 01:00")]
    assert fire(nightly, "2026-03-03 01:00:00") == while_it_runs
    for leased in nightly.leased(1):
        nightly.begin(leased)
        nightly.finish(leased)
    assert fire(nightly, "2026-03-03 05:00:00") == after_its_end
    assert fire(nightly, "2026-03-04 01:00:00") == [moment("2026-03-04 01:00")]


def test_a_clock_that_jumps_and_returns_fires_each_due_time_once(nightly: Any) -> None:
    assert fire(nightly, "2026-03-02 01:00:00") == [moment("2026-03-02 01:00")]
    assert fire(nightly, "2031-01-01 12:00:00") == [moment("2031-01-01 01:00")]
    assert fire(nightly, "2026-03-02 09:00:00") == []
    assert fire(nightly, "2026-03-03 01:00:00") == [moment("2026-03-03 01:00")]
    assert fire(nightly, "2026-03-02 23:00:00") == []
    assert fire(nightly, "2026-03-03 01:00:09") == []


def test_two_schedulers_fire_every_night_once_over_a_change_of_the_clocks(nightly: Any) -> None:
    start = moment("2026-03-26 12:00")
    with nightly.sessions.begin() as session:
        session.execute(update(Schedule).values(last_due_at=start))

    in_step = Barrier(2, timeout=60)  # clocks of two machines differ, but not by days

    def watch() -> list[datetime]:
        fired = []
        for hours in range(1, 24 * 5):
            in_step.wait()
            fired += fire(nightly, str((start + timedelta(hours=hours)).replace(tzinfo=None)))
        return fired

    fired = sorted(due for one in nightly.at_once(2, watch) for due in one)
    nights = [due.astimezone(ZoneInfo("Europe/Berlin")).date() for due in fired]
    assert len(nights) == len(set(nights)) == 5
