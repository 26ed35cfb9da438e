"""Promotion, rollback and retirement of pipelines, with their audit events."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from db import audit, campaigns, pipelines, queue, schedules
from db import pipeline_lifecycle as lifecycle
from db.engine import SessionFactory
from db.schema import Pipeline, Priority

Ids = list[int]


@pytest.fixture
def ids(laboratory: Any) -> Ids:
    """Three pipelines; the first is in production without an audit event."""
    return [laboratory.pipeline(name, alias="production" if name == "a" else None) for name in "abc"]


def promote(sessions: SessionFactory, pipeline_id: int) -> lifecycle.Promotion:
    with sessions.begin() as session:
        return lifecycle.promote(session, pipeline_id, actor="ada@lab", because="better")


def rollback(sessions: SessionFactory) -> lifecycle.Promotion:
    with sessions.begin() as session:
        return lifecycle.rollback(session, actor="bob@lab")


def production(sessions: SessionFactory) -> int | None:
    with sessions() as session:
        return session.scalar(pipelines.production_pipeline())


def retire(sessions: SessionFactory, pipeline_id: int) -> Pipeline:
    with sessions.begin() as session:
        return lifecycle.retire(session, pipeline_id, actor="ada@lab", because="too slow")


def test_a_promotion_is_recorded_and_its_repetition_is_not(session_factory: SessionFactory, ids: Ids) -> None:
    assert promote(session_factory, ids[1]).changed
    assert not promote(session_factory, ids[1]).changed
    assert production(session_factory) == ids[1]
    with session_factory() as session:
        (event,) = audit.list_events(session, lifecycle.PROMOTED)
        before, after = (session.get_one(Pipeline, number) for number in ids[:2])
    assert (event.actor, event.subject) == ("ada@lab", f"pipeline:{after.digest}")
    assert event.detail == {"digest": after.digest, "name": "b", "because": "better", "previous": before.digest}


def test_rollback_goes_back_step_by_step_to_the_first_pipeline(session_factory: SessionFactory, ids: Ids) -> None:
    promote(session_factory, ids[1])
    promote(session_factory, ids[2])
    for expected in (ids[1], ids[0]):
        step = rollback(session_factory)
        assert step.changed
        assert (step.pipeline.id, production(session_factory)) == (expected, expected)
    with pytest.raises(lifecycle.RefusedChange, match="no other pipeline was in production before"):
        rollback(session_factory)
    assert production(session_factory) == ids[0]


def test_a_promotion_after_a_rollback_is_what_is_rolled_back_next(session_factory: SessionFactory, ids: Ids) -> None:
    promote(session_factory, ids[1])
    rollback(session_factory)
    promote(session_factory, ids[2])
    assert rollback(session_factory).pipeline.id == ids[0]


def test_rollback_counts_aliases_that_were_moved_without_an_event(session_factory: SessionFactory, ids: Ids) -> None:
    promote(session_factory, ids[1])
    with session_factory.begin() as session:
        pipelines.set_alias(session, "production", ids[2])
    assert rollback(session_factory).pipeline.id == ids[1]
    assert rollback(session_factory).pipeline.id == ids[0]


def test_rollback_to_a_retired_pipeline_is_refused(session_factory: SessionFactory, ids: Ids) -> None:
    promote(session_factory, ids[1])
    retire(session_factory, ids[0])
    with pytest.raises(pipelines.RetiredPipeline, match=r"a \(0{12}\) is retired since"):
        rollback(session_factory)
    assert production(session_factory) == ids[1]


@pytest.mark.parametrize("first_ever", [False, True])
def test_concurrent_promotions_form_one_history(laboratory: Any, ids: Ids, first_ever: bool) -> None:
    if first_ever:
        with laboratory.sessions.begin() as session:
            session.query(pipelines.PipelineAlias).delete()
    numbers = count(1)
    laboratory.at_once(2, lambda: promote(laboratory.sessions, ids[next(numbers)]))
    with laboratory.sessions() as session:
        one, other = audit.list_events(session, lifecycle.PROMOTED)
        in_production = lifecycle.current(session)
        before = None if first_ever else session.get_one(Pipeline, ids[0]).digest
    assert one.detail["previous"] == before
    assert other.detail["previous"] == one.detail["digest"]
    assert in_production is not None
    assert in_production.digest == other.detail["digest"]


def test_a_retired_pipeline_is_not_promoted_until_it_is_restored(session_factory: SessionFactory, ids: Ids) -> None:
    assert retire(session_factory, ids[1]).retired_at == retire(session_factory, ids[1]).retired_at
    with pytest.raises(pipelines.RetiredPipeline):
        promote(session_factory, ids[1])
    with session_factory.begin() as session:
        assert lifecycle.restore(session, ids[1], actor="bob@lab").retired_at is None
    assert promote(session_factory, ids[1]).changed
    with session_factory() as session:
        events = audit.list_events(session, lifecycle.RETIRED, lifecycle.RESTORED)
        assert [(event.action, event.detail["because"]) for event in events] == [
            (lifecycle.RETIRED, "too slow"),
            (lifecycle.RESTORED, None),
        ]


def test_the_pipeline_in_production_is_not_retired(session_factory: SessionFactory, ids: Ids) -> None:
    with pytest.raises(lifecycle.RefusedChange, match="is in production; promote another one first"):
        retire(session_factory, ids[0])


def test_a_pipeline_with_unfinished_analyses_is_retired_when_they_have_ended(laboratory: Any, ids: Ids) -> None:
    images = laboratory.images(3)
    with laboratory.sessions.begin() as session:
        queue.enqueue(session, images[:1], ids[1], Priority.STAT)
        campaigns.create(session, pipeline_id=ids[1], filters={}, name="blood again")
    with pytest.raises(lifecycle.RefusedChange, match="has 3 unfinished analyses, also of campaign 1 'blood again'"):
        retire(laboratory.sessions, ids[1])
    for leased in laboratory.leased(10):
        laboratory.begin(leased)
        laboratory.finish(leased)
    assert retire(laboratory.sessions, ids[1]).retired_at is not None
    with laboratory.sessions() as session:
        progress = campaigns.progress(session, 1)
    assert progress is not None
    assert (progress.pipeline_retired_at is not None, progress.states) == (True, {"done": 2})


def test_a_pipeline_of_an_enabled_schedule_is_not_retired(session_factory: SessionFactory, ids: Ids) -> None:
    with session_factory.begin() as session:
        schedules.add(session, "nightly", "0 2 * * *", pipeline="b", filters={})
    with pytest.raises(lifecycle.RefusedChange, match="is what schedule 'nightly' runs"):
        retire(session_factory, ids[1])
    with session_factory.begin() as session:
        schedules.enable(session, "nightly", enabled=False)
    retire(session_factory, ids[1])


def test_schedules_and_campaigns_name_the_retired_pipeline(session_factory: SessionFactory, ids: Ids) -> None:
    with session_factory.begin() as session:
        schedule = schedules.add(session, "nightly", "0 2 * * *", pipeline="b", filters={})
        schedules.enable(session, "nightly", enabled=False)
    retire(session_factory, ids[1])
    with session_factory.begin() as session:
        assert "is retired since" in str(schedules.current_problem(session, schedule))
        with pytest.raises(schedules.BadSchedule, match=r"b \(0{12}\) is retired since"):
            schedules.add(session, "weekly", "0 2 * * 0", pipeline="b", filters={})
        with pytest.raises(pipelines.RetiredPipeline, match=r"b \(0{12}\) is retired since"):
            campaigns.create(session, pipeline_id=ids[1], filters={})
