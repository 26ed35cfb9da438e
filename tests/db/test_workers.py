"""Who is there, as far as the database has heard."""

from __future__ import annotations

from sqlalchemy import select, text

from db import workers
from db.engine import SessionFactory
from db.schema import Worker


def test_silent_workers_are_gone_and_then_forgotten(session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        for name in ("alive", "leaving", "silent", "forgotten"):
            workers.say_alive(session, name, 2)
    with session_factory.begin() as session:
        session.execute(text("UPDATE karyo.workers SET seen_at = now() - interval '1 minute' WHERE name = 'silent'"))
        session.execute(text("UPDATE karyo.workers SET seen_at = now() - interval '1 day' WHERE name = 'forgotten'"))
        workers.say_goodbye(session, "leaving")
    with session_factory.begin() as session:
        assert [worker.name for worker in workers.listing(session)] == ["alive"]
        assert workers.processes(session) == 2
        workers.say_alive(session, "alive", 3)
        assert sorted(session.scalars(select(Worker.name))) == ["alive", "silent"]
        assert workers.processes(session) == 3
