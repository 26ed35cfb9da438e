"""LISTEN/NOTIFY wake-up for schedulers; polling is the fallback.

A lost notification, as behind a connection pooler without LISTEN, costs one polling interval and nothing else.
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
STOP_CHECK_SECONDS = 0.25  # between two checks of the stop event during a wait


def notify_schedulers(session: Session) -> None:
    """Wake all schedulers when this transaction commits.

    Call it when there is new work, or new room for work at the broker.
    """
    session.execute(select(func.pg_notify(CHANNEL, "")))


class Listener:
    """Receiver of a database's notifications on a connection of its own; a context manager.

    Args:
        url: PostgreSQL address.
        stop: ends every wait when set.
    """

    def __init__(self, url: str, stop: threading.Event) -> None:
        self._engine = make_engine(url, application_name="karyo-listener", pooled=False)
        self._stop = stop
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._disconnect()

    def wait(self, seconds: float) -> bool:
        """Wait for a notification.

        While the database is unreachable, wait the whole time.

        Args:
            seconds: longest wait.

        Returns:
            Whether a notification arrived, or may have been missed before the connection was made.
        """
        deadline = monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - monotonic()) > 0:
            try:
                if self._notified(min(left, STOP_CHECK_SECONDS)):
                    return True
            except (SQLAlchemyError, psycopg.Error):
                self._disconnect()
                self._stop.wait(max(0.0, deadline - monotonic()))
        return False

    def _notified(self, seconds: float) -> bool:
        if self._connection is None:
            self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connection.exec_driver_sql(f"LISTEN {CHANNEL}")
            return True  # notifications before LISTEN are lost
        driver: Any = self._connection.connection.driver_connection
        return any(True for _ in driver.notifies(timeout=seconds, stop_after=1))

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
