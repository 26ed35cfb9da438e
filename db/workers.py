"""Heartbeats of workers: recorded every few seconds, removed when the worker stops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, Text, delete, func, literal, select
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


@dataclass(frozen=True, slots=True)
class Installation:
    """Code and networks of a worker, which decide what pipelines it can run."""

    code_version: str
    """Version of karyoflow."""
    networks: Sequence[str]
    """SHA-256 of each network."""


def record_heartbeat(session: Session, name: str, processes: int, installation: Installation | None = None) -> None:
    """Record a worker's heartbeat and delete outdated ones.

    Args:
        session: an open transaction.
        name: of the worker.
        processes: of its pool.
        installation: what the worker can run; None if it is unknown.
    """
    values = {
        "processes": processes,
        "code_version": installation.code_version if installation else None,
        "networks": list(installation.networks) if installation else None,
    }
    heartbeat = upsert(Worker).values(name=name, **values)
    session.execute(heartbeat.on_conflict_do_update(index_elements=["name"], set_={"seen_at": func.now(), **values}))
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


def any_can_run(session: Session, document: Mapping[str, Any]) -> bool:
    """Return whether an active worker has the code version and networks of a pipeline document."""
    suitable = select(Worker.name).where(
        seconds_since(Worker.seen_at) < HEARTBEAT_TIMEOUT_SECONDS,
        Worker.code_version == document["code_version"],
        Worker.networks.op("@>")(literal(list(document["models"].values()), ARRAY(Text))),
    )
    return session.scalars(suitable.limit(1)).first() is not None
