"""Metrics and probes of a scheduler, and gauges of the queue."""

from __future__ import annotations

import time

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import update
from sqlalchemy.sql import func

from db import pipelines, queue
from db.engine import SessionFactory
from db.schema import Analysis, Case, Image
from scheduler.monitor import Monitor, monitored
from settings import Settings
from telemetry.probes import CheckFailed


@pytest.fixture
def settings(postgres_url: str, redis_url: str) -> Settings:
    return Settings(
        database_url=postgres_url,
        broker_url=redis_url,
        object_store="file:///objects",
        embedded=True,
        metrics_address="127.0.0.1:0",
    )


def add(sessions: SessionFactory, name: str, priority: int) -> None:
    with sessions.begin() as session:
        pipeline_id = pipelines.register(session, {"name": "null"}, "null")
        case = Case(accession=name)
        session.add(case)
        session.flush()
        facts = {"case_id": case.id, "format": "PNG", "byte_count": 1, "width": 64, "height": 64, "bit_depth": 8}
        image = Image(sha256=name, object_key=name, file_name=name, **facts)
        session.add(image)
        session.flush()
        queue.enqueue(session, [image.id], pipeline_id, priority)


def test_a_scrape_measures_the_queue(
    settings: Settings, session_factory: SessionFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    from prometheus_client import generate_latest

    from scheduler.monitor import QueueCollector, _registry_with

    registry = _registry_with(QueueCollector(session_factory))
    assert b"karyo_queue_analyses{" not in generate_latest(registry)
    add(session_factory, "a", 0)
    add(session_factory, "b", 2)
    with session_factory.begin() as session:
        session.execute(
            update(Analysis)
            .where(Analysis.priority == 2)
            .values(created_at=func.now() - func.make_interval(0, 0, 0, 0, 2))
        )

    def value(name: str, **labels: str) -> float:
        found = registry.get_sample_value(name, labels)
        assert found is not None
        return found

    assert value("karyo_queue_analyses", state="pending", priority="stat") == 1
    assert 7200 <= value("karyo_queue_oldest_seconds", priority="backlog") < 7260
    assert value("karyo_queue_oldest_seconds", priority="stat") < 60
    with session_factory.begin() as session:
        queue.pause(session, [2], "an operator")
    assert value("karyo_queue_paused", priority="backlog") == 1
    assert value("karyo_queue_paused", priority="stat") == 0


def test_a_scheduler_in_an_outage_is_alive_but_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduler import monitor as module

    monkeypatch.setattr(module, "READY_SECONDS", 0.0)
    monitor = Monitor(poll_seconds=0.001)
    time.sleep(0.01)
    before = REGISTRY.get_sample_value("karyo_scheduler_rounds_failed_total", {"problem": "ConnectionError"}) or 0
    monitor.round_failed(ConnectionError("away"))
    monitor.alive.check()
    with pytest.raises(CheckFailed):
        monitor.ready.check()
    assert (
        REGISTRY.get_sample_value("karyo_scheduler_rounds_failed_total", {"problem": "ConnectionError"}) == before + 1
    )


def test_probes_are_served_only_with_an_address(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "telemetry")
    with monitored(settings.model_copy(update={"metrics_address": None})):
        assert not caplog.records
    with monitored(settings):
        (record,) = caplog.records
    assert record.getMessage() == "probes.started"
