"""Heartbeats of workers."""

from __future__ import annotations

from sqlalchemy import select, text

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
