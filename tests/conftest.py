"""Fixtures of every room: embedded PostgreSQL and Redis, and the folder of real images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis
from psycopg import sql

from db.engine import SessionFactory, make_engine, make_sessions
from db.migrate import upgrade
from embedded.client import StackClient, join_or_start
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer, free_port
from embedded.stack import make_folders
from tests.support.home import home, module_home, new_home, stopped_home

__all__ = ["home", "module_home", "new_home", "stopped_home"]
_PASSWORD = "of-the-tests"


@pytest.fixture(scope="session")
def _stack_client() -> Iterator[StackClient]:
    """The supervisor of this test process's servers; it stops them however the process ends."""
    with TemporaryDirectory(prefix="karyo-test-") as folder:  # short: a Unix socket's path has at most 107 bytes
        Path(folder).chmod(0o711)
        make_folders(Path(folder))
        client = join_or_start(Path(folder, "run"))
        yield client
        client.leave()


@pytest.fixture(scope="session")
def postgres_server(_stack_client: StackClient) -> PostgresServer:
    """A PostgreSQL server of this test process, which trades durability for speed."""
    server = PostgresServer(_stack_client.run.parent, _PASSWORD, durable=False)
    _stack_client.start(server.prepare())
    _stack_client.wait_until_ready("postgres", server.is_ready)
    return server


def _administer(server: PostgresServer, statement: str, *names: str) -> None:
    with server.connect("postgres") as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _database(server: PostgresServer, name: str, template: str) -> Iterator[str]:
    _administer(server, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield server.url(name)
    finally:
        _administer(server, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def _template(postgres_server: PostgresServer) -> Iterator[str]:
    with _database(postgres_server, "karyo_template", "template0") as url:
        upgrade(url)
        yield "karyo_template"


_numbers = count(1)


@pytest.fixture(scope="module")
def module_postgres_url(postgres_server: PostgresServer, _template: str) -> Iterator[str]:
    """URL of a migrated database that the tests of a module share."""
    with _database(postgres_server, f"karyo_{next(_numbers)}", _template) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, _template: str) -> Iterator[str]:
    """URL of a fresh, migrated database."""
    with _database(postgres_server, f"karyo_{next(_numbers)}", _template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of a fresh database without a table."""
    with _database(postgres_server, f"empty_{next(_numbers)}", "template0") as url:
        yield url


@pytest.fixture
def session_factory(postgres_url: str) -> Iterator[SessionFactory]:
    """Sessions on a fresh, migrated database."""
    engine = make_engine(postgres_url, application_name="karyo-test", pool_size=10)
    yield make_sessions(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def redis_server(_stack_client: StackClient) -> RedisServer:
    """A Redis server of this test process; it contains what earlier tests left."""
    server = RedisServer(_stack_client.run.parent, _PASSWORD, free_port())
    _stack_client.start(server.prepare())
    _stack_client.wait_until_ready("redis", server.is_ready)
    return server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """URL of an empty Redis server of this test process."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    return redis_server.url


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Directory of the public evaluation sets; docs/datasets.md describes its layout."""
    root = Path(__file__).parent.parent
    path = (root / os.environ.get("KARYO_TEST_DATA", "../shared/data")).resolve()
    if not path.is_dir():
        pytest.skip(f"no evaluation data at {path}; set KARYO_TEST_DATA")
    return path
