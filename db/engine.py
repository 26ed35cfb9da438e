"""Connections to PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

SessionFactory = sessionmaker[Session]


def parse_url(url: str) -> URL:
    """``url`` with the psycopg driver, whichever of PostgreSQL's usual spellings it came in.

    Raises:
        ValueError: it is not a PostgreSQL address.

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
    """A connection pool, or single connections, whose sessions run in UTC and give up rather than hang.

    Make one per process and after forking: connections do not survive a fork. Without ``pre_ping`` the first use of a
    connection that was lost meanwhile fails, which saves those a round trip who try again anyway.
    """
    settings = {
        "timezone": "UTC",
        "statement_timeout": f"{round(statement_timeout_seconds * 1000)}",
        "lock_timeout": f"{round(lock_timeout_seconds * 1000)}",
        # A client that hangs inside a transaction would keep its row locks from everybody else.
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
    """Sessions on ``engine`` whose rows stay readable after commit; use as ``with factory.begin() as session``."""
    return sessionmaker(engine, expire_on_commit=False)


def check(sessions: SessionFactory) -> None:
    """Return if the database answers and has our tables; raises ``SQLAlchemyError`` otherwise."""
    with sessions() as session:
        session.execute(text("SELECT 1 FROM karyo.analyses LIMIT 1"))


def check_anew(url: str, application_name: str) -> None:
    """``check`` on a connection made for it: for a process that forks, and so must not keep one."""
    engine = make_engine(url, application_name=application_name, pool_size=1)
    try:
        check(make_sessions(engine))
    finally:
        engine.dispose()
