"""A bell that PostgreSQL rings: who waits for work hears of it at once instead of looking again and again.

It only shortens a wait. A ring that is lost, as behind a connection pooler that knows no LISTEN, costs the time until
the next look and nothing else.
"""

from __future__ import annotations

import threading
from time import monotonic
from types import TracebackType
from typing import Any, Self

import psycopg
from sqlalchemy import Connection, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db.engine import make_engine

CHANNEL = "karyo_work"
SLICE_SECONDS = 0.25
"""How late a bell notices that it is no longer wanted."""


def ring(session: Session) -> None:
    """Let schedulers look when this transaction commits: there is work, or room for it."""
    session.execute(select(func.pg_notify(CHANNEL, "")))


class Bell:
    """Hears the rings of one database, on a connection of its own; a context manager.

    Args:
        url: of the database.
        stop: ends every wait when set.
    """

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._engine = make_engine(url, application_name="karyo-bell", pooled=False)
        self._stop = stop
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds``; whether the bell rang. While the database is away it only waits."""
        until = monotonic() + seconds
        while not self._stop.is_set() and (left := until - monotonic()) > 0:
            try:
                if self._rang(min(left, SLICE_SECONDS)):
                    return True
            except (SQLAlchemyError, psycopg.Error):
                self._hang_up()
                self._stop.wait(max(0.0, until - monotonic()))
        return False

    def _rang(self, seconds: float) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            return True  # it may have rung before anybody listened
        driver: Any = self._connection.connection.driver_connection
        return any(True for _ in driver.notifies(timeout=seconds, stop_after=1))

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
