"""Heartbeat of a worker: a row in the database that a sidecar process refreshes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import workers
from db.engine import make_engine, make_sessions
from settings import Settings
from telemetry.logs import get_logger
from telemetry.sidecar import run_sidecar

log = get_logger("worker")

INTERVAL = workers.HEARTBEAT_TIMEOUT_SECONDS / 3  # s, between two heartbeats


@contextmanager
def send_heartbeats(
    settings: Settings, name: str, processes: int, installation: workers.Installation
) -> Iterator[None]:
    """Record the worker as alive during the block, and remove the record at its end.

    Args:
        settings: where the database is.
        name: of the worker.
        processes: its pool processes.
        installation: what the worker can run.
    """

    def beat(ticks: Iterator[None]) -> None:
        due = 0.0
        for _ in ticks:
            if time.monotonic() >= due:
                _transact(settings, lambda session: workers.record_heartbeat(session, name, processes, installation))
                due = time.monotonic() + INTERVAL

    try:
        with run_sidecar("heartbeat", beat):
            yield
    finally:
        _transact(settings, lambda session: workers.remove(session, name))


def _transact(settings: Settings, work: Callable[[Session], None]) -> None:
    """Run one transaction on a connection of its own; an outage is logged."""
    engine = make_engine(str(settings.database_url), application_name="karyo-worker-presence", pooled=False)
    try:
        with make_sessions(engine).begin() as session:
            work(session)
    except SQLAlchemyError as problem:
        log.warning("worker.heartbeat_failed", kind=type(problem).__name__)
