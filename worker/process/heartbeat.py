"""A worker tells the database every few seconds that it lives, so that operators see who is there.

It does so from a run_sidecar process that ends with it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import workers
from db.engine import make_engine, make_sessions
from settings import Settings
from telemetry.sidecar import run_sidecar

log = logging.getLogger("worker")

INTERVAL = workers.ALIVE_SECONDS / 3


@contextmanager
def present(settings: Settings, name: str, processes: int) -> Iterator[None]:
    """Say that the worker lives for as long as the block runs, and goodbye at its end."""

    def speak(seconds: Iterator[None]) -> None:
        due = 0.0
        for _ in seconds:
            if time.monotonic() >= due:
                _tell(settings, lambda session: workers.say_alive(session, name, processes))
                due = time.monotonic() + INTERVAL

    try:
        with run_sidecar("presence", speak):
            yield
    finally:
        _tell(settings, lambda session: workers.say_goodbye(session, name))


def _tell(settings: Settings, what: Callable[[Session], None]) -> None:
    """One transaction on a connection of its own."""
    engine = make_engine(str(settings.database_url), application_name="karyo-worker-presence", pooled=False)
    try:
        with make_sessions(engine).begin() as session:
            what(session)
    except SQLAlchemyError as problem:
        log.warning("presence not recorded", extra={"kind": type(problem).__name__})
