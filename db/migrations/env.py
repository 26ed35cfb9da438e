"""Alembic environment: one migrator at a time, with bounded waits for locks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, func, select, text
from sqlalchemy.pool import NullPool
from tenacity import RetryError, retry, retry_if_result, stop_after_delay, wait_random

from db.engine import parse_url
from db.schema import SCHEMA, Base

LOCK_KEY = 0x6B6172796F  # "karyo"
LOCK_TIMEOUT_SECONDS = 600  # wait for another migrator


@contextmanager
def _sole_migrator(connection: Connection) -> Iterator[None]:
    """Hold the advisory lock during the block.

    The lock is polled: a session that blocks on it keeps a snapshot open, and CREATE INDEX CONCURRENTLY in the other
    migrator's session would wait for that snapshot for ever.
    """

    @retry(
        retry=retry_if_result(lambda locked: not locked),
        wait=wait_random(0.05, 0.2),
        stop=stop_after_delay(LOCK_TIMEOUT_SECONDS),
    )
    def take() -> bool:
        locked = connection.scalar(select(func.pg_try_advisory_lock(LOCK_KEY)))
        connection.rollback()
        return bool(locked)

    try:
        take()
    except RetryError as error:
        raise TimeoutError(
            f"Another process has been migrating this database for {LOCK_TIMEOUT_SECONDS} s; see pg_locks."
        ) from error
    try:
        yield
    finally:
        connection.rollback()
        connection.scalar(select(func.pg_advisory_unlock(LOCK_KEY)))
        connection.commit()


def _partitions(connection: Connection) -> set[str]:
    """Return the partitions, which the migrations create and the metadata does not list."""
    rows = connection.scalars(text("SELECT relname FROM pg_class WHERE relispartition"))
    return set(rows)


def _run() -> None:
    # A role named like the schema has it in its search path; Alembic would then compare its tables as of no schema.
    search_path = {"options": "-c search_path=public"}
    engine = create_engine(parse_url(context.config.attributes["url"]), poolclass=NullPool, connect_args=search_path)
    with engine.connect() as connection, _sole_migrator(connection):
        # A migration that waits for a table lock blocks every later statement on that table, so it must fail soon.
        connection.execute(text("SET lock_timeout = '10s'"))
        connection.execute(text("SET statement_timeout = '30min'"))
        connection.execute(text("SET timezone = 'UTC'"))
        # The version table is part of the schema, so the schema precedes the first migration.
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        partitions = _partitions(connection)
        connection.commit()

        def include_name(name: str | None, kind: str, parents: Any) -> bool:
            if kind == "schema":
                return name == SCHEMA
            return not (kind == "table" and name in partitions)

        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            version_table_schema=SCHEMA,
            include_schemas=True,
            include_name=include_name,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()


_run()
