"""Outages of PostgreSQL: their errors, how long callers wait, and what people read."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, event
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from telemetry.redaction import redact

T = TypeVar("T")
OnRetry = Callable[[RetryCallState], None]
"""Callback before each pause between two attempts."""

LONGEST_PAUSE = 5  # s, between two attempts
NOTICE_SECONDS = 10.0  # s, between two notices about one outage

# Connection errors carry no SQLSTATE, only libpq's text; these are the English messages of the server.
_PAUSED = re.compile(r"the database system is |too many clients|remaining connection slots|administrator command")
_REFUSED = re.compile(
    r"(?i)authentication failed|no password supplied|no pg_hba\.conf entry|(?:database|role) .* does not exist|"
    r"permission denied|does not support SSL|certificate|is not permitted to log in|invalid connection option"
)


def is_outage(problem: BaseException) -> bool:
    """Return whether the database was unavailable, as opposed to having refused a statement."""
    if isinstance(problem, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(problem, DBAPIError) and problem.connection_invalidated


def is_refusal(problem: BaseException) -> bool:
    """Return whether the server refuses this user, password or database for good."""
    return _is_of_database(problem) and _REFUSED.search(_text(problem)) is not None


def is_paused(problem: BaseException) -> bool:
    """Return whether the server starts, stops, recovers or has no free connection."""
    return _is_of_database(problem) and _PAUSED.search(_text(problem)) is not None


def describe(problem: BaseException) -> str:
    """Return the reason of a database error in one line that holds no secret."""
    text = _text(problem)
    found = (
        re.search(r"(?:FATAL|ERROR): +(.+)", text) or re.search(r"server (?:at|on) .*", text) or re.search(".+", text)
    )
    reason = found[found.lastindex or 0] if found else type(problem).__name__
    return redact(reason.strip().rstrip("."))


class RetryingTransactions:
    """Runs functions of a session, each in one transaction, and repeats them after an outage.

    A commit whose answer was lost is repeated too. Every function of ``db.queue`` is guarded by state or token, so the
    repetition changes nothing.

    Args:
        sessions: where the transactions are opened.
        patience: seconds after which an outage is raised.
        on_retry: called before each pause.
        is_temporary: says which errors are repeated.
    """

    def __init__(
        self,
        sessions: sessionmaker[Session],
        patience: float,
        on_retry: OnRetry | None = None,
        is_temporary: Callable[[BaseException], bool] = is_outage,
    ) -> None:
        self._sessions = sessions
        self._patience = patience
        self._on_retry = on_retry
        self._is_temporary = is_temporary

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
            retry=retry_if_exception(self._is_temporary),
            wait=wait_random_exponential(0.1, max=LONGEST_PAUSE),
            stop=stop_after_delay(self._patience) if until is None else lambda state: until(),
            before_sleep=self._on_retry,
            reraise=True,
        )
        for attempt in retrying:
            with attempt, self._sessions.begin() as session:
                result = work(session)
        return result


class Patience:
    """Waiting of a command for a database that starts, stops or recovers.

    A server that says so is waited for from the beginning. Any other outage is waited for once the server has answered:
    before that, its address may be wrong.

    Args:
        seconds: longest wait of one call.
        notify: receives a sentence when a wait begins, and again every ``NOTICE_SECONDS``.
    """

    def __init__(self, seconds: float, notify: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._notify = notify
        self._has_answered = False
        self._noticed = -NOTICE_SECONDS
        self._lock = threading.Lock()

    def attach(self, engine: Engine) -> None:
        """Make every new connection of ``engine`` wait."""
        retrying = Retrying(
            retry=retry_if_exception(self._is_temporary),
            wait=wait_random_exponential(0.1, max=1),
            stop=stop_after_delay(self._seconds),
            before_sleep=self._report,
            reraise=True,
        )

        @event.listens_for(engine, "do_connect")
        def connect(dialect: Any, _: Any, arguments: Any, parameters: Any) -> Any:
            connection = retrying(dialect.connect, *arguments, **parameters)
            self._has_answered = True
            return connection

    def transactions(self, sessions: sessionmaker[Session]) -> RetryingTransactions:
        """Return transactions on ``sessions`` that are repeated after an outage in their middle."""
        return RetryingTransactions(sessions, self._seconds, self._report, self._is_temporary)

    def _is_temporary(self, problem: BaseException) -> bool:
        self._has_answered |= is_paused(problem)
        is_lost = is_outage(problem) or isinstance(problem, psycopg.OperationalError)
        return self._has_answered and is_lost and not is_refusal(problem)

    def _report(self, state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        with self._lock:
            if problem is None or monotonic() - self._noticed < NOTICE_SECONDS:
                return
            self._noticed = monotonic()
        self._notify(f"waiting for the database, at most {self._seconds:.0f} s: {describe(problem)}")


def _is_of_database(problem: BaseException) -> bool:
    return isinstance(problem, DBAPIError | psycopg.Error)


def _text(problem: BaseException) -> str:
    return str(getattr(problem, "orig", None) or problem)
