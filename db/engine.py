"""Connections to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from db.outages import Patience, RetryingTransactions

T = TypeVar("T")


class SessionFactory(sessionmaker[Session]):
    """Factory of sessions; ``with factory.begin() as session`` is one transaction."""

    retrying: RetryingTransactions | None = None
    """Repeats transactions after an outage, for a command that waits; None for callers that retry themselves."""

    def transact(self, work: Callable[[Session], T]) -> T:
        """Return the result of ``work`` in one transaction, which may be repeated after an outage."""
        if self.retrying is not None:
            return self.retrying(work)
        with self.begin() as session:
            return work(session)


def parse_url(url: str) -> URL:
    """Return ``url`` with the psycopg driver; the usual PostgreSQL schemes are accepted.

    Raises:
        ValueError: ``url`` is not a PostgreSQL address.

    >>> parse_url("postgres://karyo@db/karyo").drivername
    'postgresql+psycopg'
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # their messages may quote the password
        raise ValueError("the database URL cannot be parsed; write postgresql://user:password@host/database") from None
    if parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError(f"karyoflow keeps its records in PostgreSQL; {parsed.drivername}:// is not a PostgreSQL URL")
    return parsed.set(drivername="postgresql+psycopg")


def make_engine(
    url: str,
    *,
    application_name: str = "karyo",
    statement_timeout_seconds: float = 60.0,
    lock_timeout_seconds: float = 10.0,
    pool_size: int = 5,
    pooled: bool = True,
    pre_ping: bool = True,
    patience: Patience | None = None,
) -> Engine:
    """Return an engine whose sessions run in UTC and end statements that take too long.

    Call it once per process, after forking: connections do not survive a fork.

    Args:
        url: PostgreSQL address.
        application_name: name of the connections in ``pg_stat_activity``.
        statement_timeout_seconds: longest statement, and longest idle time in a transaction.
        lock_timeout_seconds: longest wait for a lock.
        pool_size: connections that stay open.
        pooled: keep connections open; False opens one per use.
        pre_ping: test a pooled connection before use. Callers that retry save this round trip.
        patience: makes new connections wait for a database that starts, stops or recovers.
    """
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{round(statement_timeout_seconds * 1000)}",
        "lock_timeout": f"{round(lock_timeout_seconds * 1000)}",
        # A client that hangs inside a transaction would keep its row locks.
        "idle_in_transaction_session_timeout": f"{round(statement_timeout_seconds * 1000)}",
    }
    pool: dict[str, Any] = {"pool_size": pool_size, "pool_pre_ping": pre_ping} if pooled else {"poolclass": NullPool}
    engine = create_engine(
        parse_url(url),
        **pool,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )
    if patience is not None:
        patience.attach(engine)
    return engine


def make_sessions(engine: Engine, patience: Patience | None = None) -> SessionFactory:
    """Return sessions on ``engine`` whose rows stay readable after commit.

    Args:
        engine: of the database.
        patience: lets ``transact`` repeat a transaction that an outage ended.
    """
    sessions = SessionFactory(engine, expire_on_commit=False)
    if patience is not None:
        sessions.retrying = patience.transactions(sessions)
    return sessions


def check(sessions: SessionFactory) -> None:
    """Return if the database answers and holds the tables of karyoflow.

    Raises:
        SQLAlchemyError: it does not.
    """
    with sessions() as session:
        session.execute(text("SELECT 1 FROM karyo.analyses LIMIT 1"))


def check_once(url: str, application_name: str) -> None:
    """Call ``check`` on a connection of its own, for a process that forks and so must keep none.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    engine = make_engine(url, application_name=application_name, pool_size=1)
    try:
        check(make_sessions(engine))
    finally:
        engine.dispose()
