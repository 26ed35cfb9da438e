"""Retry policy of a worker: calls of database and object store outlast a short outage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from tenacity import (
    Retrying,
    retry,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_random_exponential,
)

from db.engine import SessionFactory
from storage import StoreUnavailable
from telemetry.metrics import count_retries

T = TypeVar("T")

LONGEST_PAUSE = 5  # s, between two attempts
STORE_ATTEMPTS = 5
STORE_PATIENCE = 60  # s, over all attempts

retry_store = retry(
    retry=retry_if_exception_type(StoreUnavailable),
    wait=wait_random_exponential(0.2, max=LONGEST_PAUSE),
    stop=stop_after_attempt(STORE_ATTEMPTS) | stop_after_delay(STORE_PATIENCE),
    before_sleep=count_retries("object_store"),
    reraise=True,
)
"""Decorator of a call of the object store: repeats it, with jitter, while the store is unavailable.

A missing or damaged object is not retried, because another call has the same answer.
"""


def is_outage(problem: BaseException) -> bool:
    """Return whether the database was unavailable, as opposed to having refused a statement."""
    if isinstance(problem, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(problem, DBAPIError) and problem.connection_invalidated


class RetryingTransactions:
    """Runs functions of a session, each in one transaction, and repeats them after an outage.

    A commit whose answer was lost is repeated too. Every function of ``db.queue`` is guarded by state or token, so the
    repetition changes nothing.

    Args:
        sessions: where the transactions are opened.
        patience: seconds after which an outage is raised.
    """

    def __init__(self, sessions: SessionFactory, patience: float) -> None:
        self._sessions = sessions
        self._patience = patience

    def __call__(self, work: Callable[[Session], T], *, until: Callable[[], bool] | None = None) -> T:
        """Return the result of ``work``, committed.

        Args:
            work: statements of one transaction.
            until: ends the retries, in place of the patience, when it returns True; for a caller that holds no lease
                and so has no reason to hurry.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused, or the retries ended.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_outage),
            wait=wait_random_exponential(0.1, max=LONGEST_PAUSE),
            stop=stop_after_delay(self._patience) if until is None else lambda state: until(),
            before_sleep=count_retries("database"),
            reraise=True,
        )
        for attempt in retrying:
            with attempt, self._sessions.begin() as session:
                result = work(session)
        return result
