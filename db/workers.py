"""Which workers there are: each says every few seconds that it is alive, and leaves no trace when it leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.schema import Worker

ALIVE_SECONDS = 30.0
"""A worker that has said nothing for this long counts as gone."""
FORGOTTEN_SECONDS = 3600.0


class Present(NamedTuple):
    """A worker that lives, as far as is known."""

    name: str
    processes: int
    started_at: datetime
    silent_seconds: float


def say_alive(session: Session, name: str, processes: int) -> None:
    """Record that a worker lives; those that have long been silent are forgotten."""
    values = {"name": name, "processes": processes}
    mine = upsert(Worker).values(**values)
    session.execute(
        mine.on_conflict_do_update(index_elements=["name"], set_={"seen_at": func.now(), "processes": processes})
    )
    session.execute(
        delete(Worker).where(Worker.seen_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, FORGOTTEN_SECONDS))
    )


def say_goodbye(session: Session, name: str) -> None:
    """Record that a worker has left."""
    session.execute(delete(Worker).where(Worker.name == name))


def listing(session: Session) -> list[Present]:
    """Workers that live, by name."""
    silent = _silent_seconds()
    columns = (Worker.name, Worker.processes, Worker.started_at, silent)
    rows = session.execute(select(*columns).where(silent < ALIVE_SECONDS).order_by(Worker.name))
    return [Present(name, processes, started_at, round(float(age), 1)) for name, processes, started_at, age in rows]


def processes(session: Session) -> int:
    """Pool processes of all workers that live."""
    return sum(worker.processes for worker in listing(session))


def _silent_seconds() -> ColumnElement[Any]:
    return func.extract("epoch", func.now() - Worker.seen_at)
