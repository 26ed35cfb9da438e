"""A worker tells the database every few seconds that it lives, so that operators see who is there.

It does so from a forked process that ends with it: the main process itself forks, and so must not thread.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import workers
from db.engine import make_engine, make_sessions
from settings import Settings

log = logging.getLogger("worker")

INTERVAL = workers.ALIVE_SECONDS / 3


@contextmanager
def present(settings: Settings, name: str, processes: int) -> Iterator[None]:
    """Say that the worker lives for as long as the block runs, and goodbye at its end."""
    parent = os.getpid()

    def speak() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # a worker that is told to leave lives until it has left
        due = 0.0
        while os.getppid() == parent:
            if time.monotonic() >= due:
                _tell(settings, lambda session: workers.say_alive(session, name, processes))
                due = time.monotonic() + INTERVAL
            time.sleep(1)

    process = multiprocessing.get_context("fork").Process(target=speak, name="presence", daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
        _tell(settings, lambda session: workers.say_goodbye(session, name))


def _tell(settings: Settings, what: Callable[[Session], None]) -> None:
    """One transaction on a connection of its own."""
    engine = make_engine(str(settings.database_url), application_name="karyo-worker-presence", pooled=False)
    try:
        with make_sessions(engine).begin() as session:
            what(session)
    except SQLAlchemyError as problem:
        log.warning("presence not recorded", extra={"kind": type(problem).__name__})
