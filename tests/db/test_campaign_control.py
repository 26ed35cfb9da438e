"""Pause, rate limit and cancellation of a campaign."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from db import audit, campaign_control, campaigns, queue
from db.campaigns import CampaignProgress
from db.schema import Analysis, Priority


@pytest.fixture
def campaign(laboratory: Any) -> int:
    """A campaign over six images."""
    laboratory.images(6)
    with laboratory.sessions.begin() as session:
        created = campaigns.create(session, pipeline_id=laboratory.pipeline("new"), filters={})
        assert created is not None
        return created.id


def progress(laboratory: Any, campaign: int) -> CampaignProgress:
    with laboratory.sessions() as session:
        found = campaigns.progress(session, campaign)
    assert found is not None
    return found


def control(laboratory: Any, action: Any, campaign: int, **options: Any) -> int:
    with laboratory.sessions.begin() as session:
        return int(action(session, campaign, actor="ada@lab", **options))


def test_a_paused_campaign_hands_out_nothing_until_it_is_resumed(laboratory: Any, campaign: int) -> None:
    (held_by_worker,) = laboratory.leased(1)
    laboratory.claim(2)
    assert control(laboratory, campaign_control.pause, campaign) == 5
    assert laboratory.claim(10) == []
    with laboratory.sessions.begin() as session:
        queue.reap(session, 3, 600)
    assert laboratory.claim(10) == []
    laboratory.begin(held_by_worker)
    laboratory.finish(held_by_worker)
    paused = progress(laboratory, campaign)
    assert (paused.state, paused.states, paused.held, paused.seconds_left) == (
        "paused",
        {"done": 1, "pending": 5},
        5,
        None,
    )
    assert control(laboratory, campaign_control.resume, campaign) == 5
    assert len(laboratory.claim(10)) == 5
    assert progress(laboratory, campaign).state == "running"


def test_other_work_runs_while_a_campaign_is_paused(laboratory: Any, campaign: int) -> None:
    control(laboratory, campaign_control.pause, campaign)
    laboratory.pending(2, "B-1", Priority.BACKLOG)
    assert len(laboratory.claim(10)) == 2


def test_a_case_that_gets_a_higher_priority_leaves_the_pause(laboratory: Any, campaign: int) -> None:
    control(laboratory, campaign_control.pause, campaign)
    with laboratory.sessions.begin() as session:
        assert queue.prioritise(session, 1, Priority.STAT) == 6
    control(laboratory, campaign_control.pause, campaign)
    assert len(laboratory.claim(10)) == 6


def test_a_rate_limit_releases_a_constant_number_per_hour(laboratory: Any, campaign: int) -> None:
    control(laboratory, campaign_control.resume, campaign, images_per_hour=2)
    limited = progress(laboratory, campaign)
    assert (limited.state, limited.held) == ("running", 5)
    released = []
    for _ in range(4):
        with laboratory.sessions.begin() as session:
            queue.reap(session, 3, 600)
            released.append(len(queue.claim(session, Priority.BACKLOG, 10, 10)))
            session.execute(text("UPDATE karyo.analyses SET not_before = not_before - interval '1 h'"))
    assert released == [1, 2, 2, 1]


def test_a_rate_limit_decides_on_the_time_left(laboratory: Any, campaign: int) -> None:
    for leased in laboratory.leased(2):
        laboratory.begin(leased)
        laboratory.finish(leased)
    control(laboratory, campaign_control.resume, campaign, images_per_hour=1)
    with laboratory.sessions.begin() as session:
        session.execute(
            text("UPDATE karyo.analyses SET finished_at = now() - id * interval '1 s' WHERE state = 'done'")
        )
    assert progress(laboratory, campaign).seconds_left == pytest.approx(3 * 3600, abs=60)


def test_a_campaign_is_created_with_a_rate_limit(laboratory: Any, campaign: int) -> None:
    with laboratory.sessions.begin() as session:
        pipeline = laboratory.pipeline("other")
        campaigns.create(session, pipeline_id=pipeline, filters={}, images_per_hour=60)
        delays = select(func.max(Analysis.not_before) - func.now()).where(Analysis.pipeline_id == pipeline)
        assert session.scalar(delays) == timedelta(minutes=5)


def test_a_cancelled_campaign_keeps_results_and_gives_up_the_rest(laboratory: Any, campaign: int) -> None:
    first, second = laboratory.leased(2)
    laboratory.begin(first)
    laboratory.finish(first)
    assert control(laboratory, campaign_control.cancel, campaign, because="wrong pipeline") == 4
    laboratory.begin(second)
    laboratory.finish(second)
    cancelled = progress(laboratory, campaign)
    assert (cancelled.state, cancelled.states, cancelled.enqueued) == ("cancelled", {"done": 2}, 2)
    with laboratory.sessions.begin() as session:
        assert len(queue.stale_cases(session, 10, 60)) == 1
        (event,) = audit.list_events(session, campaign_control.CANCELLED)
    assert (event.actor, event.subject) == ("ada@lab", f"campaign:{campaign}")
    assert event.detail == {"images": 4, "because": "wrong pipeline"}
    assert control(laboratory, campaign_control.resume, campaign) == 0


def test_two_people_who_pause_and_cancel_at_once_lose_nothing(laboratory: Any, campaign: int) -> None:
    actions = iter([campaign_control.pause, campaign_control.cancel])
    moved = laboratory.at_once(2, lambda: control(laboratory, next(actions), campaign))
    assert 6 in moved
    assert progress(laboratory, campaign).state == "cancelled"


def test_an_unknown_campaign_is_a_sentence(laboratory: Any) -> None:
    for action in (campaign_control.pause, campaign_control.resume, campaign_control.cancel):
        with pytest.raises(campaign_control.UnknownCampaign, match="there is no campaign 9"):
            control(laboratory, action, 9)
