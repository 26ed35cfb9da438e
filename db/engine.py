"""Connections to PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

SessionFactory = sessionmaker[Session]


def parse_url(url: str) -> URL:
    """Return ``url`` with the psycopg driver; the usual PostgreSQL schemes are accepted.

    Raises:
        ValueError: ``url`` is not a PostgreSQL address.

    >>> parse_url("postgres://karyo@db/karyo").drivername
    'postgresql+psycopg'
    """
    parsed = make_url(url)
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
    """
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{round(statement_timeout_seconds * 1000)}",
        "lock_timeout": f"{round(lock_timeout_seconds * 1000)}",
        # A client that hangs inside a transaction would keep its row locks.
        "idle_in_transaction_session_timeout": f"{round(statement_timeout_seconds * 1000)}",
    }
    pool: dict[str, Any] = {"pool_size": pool_size, "pool_pre_ping": pre_ping} if pooled else {"poolclass": NullPool}
    return create_engine(
        parse_url(url),
        **pool,
        connect_args={
            "application_name": application_name,
            "connect_timeout": 10,
            "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        },
    )


def make_sessions(engine: Engine) -> SessionFactory:
    """Return sessions on ``engine`` whose rows stay readable after commit.

    Use as ``with factory.begin() as session``.
    """
    return sessionmaker(engine, expire_on_commit=False)


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
