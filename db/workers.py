"""Heartbeats of workers: recorded every few seconds, removed when the worker stops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.clock import interval, seconds_since
from db.schema import Worker

HEARTBEAT_TIMEOUT_SECONDS = 30.0  # age of a heartbeat after which its worker counts as gone
RETENTION_SECONDS = 3600.0  # age of a heartbeat after which it is deleted


@dataclass(frozen=True, slots=True)
class ActiveWorker:
    """A worker with a recent heartbeat."""

    name: str
    processes: int
    started_at: datetime
    silent_seconds: float
    """Age of the latest heartbeat."""


def record_heartbeat(session: Session, name: str, processes: int) -> None:
    """Record a worker's heartbeat and delete outdated ones.

    Args:
        session: an open transaction.
        name: of the worker.
        processes: of its pool.
    """
    values = {"name": name, "processes": processes}
    heartbeat = upsert(Worker).values(**values)
    session.execute(
        heartbeat.on_conflict_do_update(index_elements=["name"], set_={"seen_at": func.now(), "processes": processes})
    )
    session.execute(delete(Worker).where(Worker.seen_at < func.now() - interval(RETENTION_SECONDS)))


def remove(session: Session, name: str) -> None:
    """Remove a worker that stops."""
    session.execute(delete(Worker).where(Worker.name == name))


def list_active(session: Session) -> list[ActiveWorker]:
    """Return the workers with a recent heartbeat, by name."""
    age = seconds_since(Worker.seen_at)
    columns = (Worker.name, Worker.processes, Worker.started_at, age)
    rows = session.execute(select(*columns).where(age < HEARTBEAT_TIMEOUT_SECONDS).order_by(Worker.name))
    return [
        ActiveWorker(name, processes, started_at, round(float(silent), 1))
        for name, processes, started_at, silent in rows
    ]


def count_processes(session: Session) -> int:
    """Return the number of pool processes of all active workers."""
    return sum(worker.processes for worker in list_active(session))
