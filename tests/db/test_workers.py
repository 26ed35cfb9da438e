"""Heartbeats of workers."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db import workers
from db.engine import SessionFactory
from db.schema import Worker


def test_workers_without_a_heartbeat_are_inactive_and_then_deleted(session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        for name in ("alive", "leaving", "silent", "forgotten"):
            workers.record_heartbeat(session, name, 2)
    with session_factory.begin() as session:
        session.execute(text("UPDATE karyo.workers SET seen_at = now() - interval '1 minute' WHERE name = 'silent'"))
        session.execute(text("UPDATE karyo.workers SET seen_at = now() - interval '1 day' WHERE name = 'forgotten'"))
        workers.remove(session, "leaving")
    with session_factory.begin() as session:
        assert [worker.name for worker in workers.list_active(session)] == ["alive"]
        assert workers.count_processes(session) == 2
        workers.record_heartbeat(session, "alive", 3)
        assert sorted(session.scalars(select(Worker.name))) == ["alive", "silent"]
        assert workers.count_processes(session) == 3


def test_a_pipeline_needs_an_active_worker_of_its_version_with_its_networks(session_factory: SessionFactory) -> None:
    document = {"code_version": "1.2", "models": {"router": "aa", "embedder": "bb"}}

    def can_run(session: Session) -> bool:
        return workers.any_can_run(session, document)

    with session_factory.begin() as session:
        assert not can_run(session)
        workers.record_heartbeat(session, "unknown", 1)
        workers.record_heartbeat(session, "older", 1, workers.Installation("1.1", ["aa", "bb"]))
        workers.record_heartbeat(session, "partial", 1, workers.Installation("1.2", ["aa"]))
        assert not can_run(session)
        workers.record_heartbeat(session, "partial", 1, workers.Installation("1.2", ["aa", "bb", "cc"]))
        assert can_run(session)
        session.execute(text("UPDATE karyo.workers SET seen_at = now() - interval '1 minute'"))
        assert not can_run(session)
