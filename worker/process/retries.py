"""Transactions that outlast a short absence of the database."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from db.engine import SessionFactory
from telemetry.metrics import count_retries

T = TypeVar("T")


def is_outage(problem: BaseException) -> bool:
    """Whether the database was away, as opposed to having refused what it was asked."""
    if isinstance(problem, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(problem, DBAPIError) and problem.connection_invalidated


class Transactions:
    """Runs functions of a session, each in one transaction, again if the database was away.

    A commit whose answer was lost is repeated too; every function of ``db.queue`` is guarded by state or token, so the
    repetition finds nothing left to do.
    """

    def __init__(self, sessions: SessionFactory, patience_seconds: float) -> None:
        self._sessions = sessions
        self._patience = patience_seconds

    def __call__(self, work: Callable[[Session], T], *, until: Callable[[], bool] | None = None) -> T:
        """The result of ``work``, committed.

        Args:
            work: of one transaction.
            until: says when to wait no longer for the database. By default we do as long as our patience lasts; who has
                nothing in hand yet has no reason to hurry.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused, or stayed away for longer than we waited.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_outage),
            wait=wait_random_exponential(0.1, max=5),
            stop=stop_after_delay(self._patience) if until is None else lambda state: until(),
            before_sleep=count_retries("database"),
            reraise=True,
        )
        for attempt in retrying:
            with attempt, self._sessions.begin() as session:
                result = work(session)
        return result
