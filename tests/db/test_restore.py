"""A dump restored where the roles are missing, and what ``karyo db upgrade`` completes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from db.migrate import check, upgrade
from db.reader import READER, restore_reader
from embedded.binaries import postgres_folder
from embedded.postgres import PostgresServer
from settings import ConfigurationError


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


def may_read(url: str) -> bool:
    with connect(url) as connection:
        connection.execute(f"SET ROLE {READER}")
        return connection.execute("SELECT count(*) FROM reporting.throughput").fetchone() == (0,)


def call(program: str, *arguments: str, password: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(postgres_folder() / program), *arguments],
        env={"PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


@pytest.fixture
def without_reader(postgres_server: PostgresServer) -> Iterator[None]:
    """The server has no role of the readers, as a fresh one; its other databases get it back."""
    databases = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate"
    with postgres_server.connect("postgres") as connection:
        names = [name for (name,) in connection.execute(databases)]
        granted = []
        for name in names:
            with postgres_server.connect(name) as other:
                if other.execute("SELECT to_regnamespace('reporting') IS NOT NULL").fetchone() == (True,):
                    granted.append(name)
                other.execute(f"DROP OWNED BY {READER}")
        connection.execute(f"DROP ROLE {READER}")
    yield
    for name in granted:
        restore_reader(postgres_server.url(name))


@pytest.mark.parametrize("options", [("--no-owner", "--no-privileges"), ()], ids=["as documented", "with privileges"])
def test_a_restored_database_gets_its_reader_from_upgrade(
    postgres_server: PostgresServer,
    postgres_url: str,
    empty_postgres_url: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    *,
    options: tuple[str, ...],
) -> None:
    assert may_read(postgres_url)
    password = postgres_server.password
    host = ("--host", str(postgres_server.socket_folder), "--username", "karyo")
    dump = str(tmp_path / "karyo.dump")
    dumped = call(
        "pg_dump", *host, "--format=custom", "--file", dump, *options, str(make_url(postgres_url).database),
        password=password,
    )  # fmt: skip
    assert dumped.returncode == 0, dumped.stderr
    request.getfixturevalue("without_reader")
    target = str(make_url(empty_postgres_url).database)
    restored = call("pg_restore", *host, *options, "--dbname", target, dump, password=password)
    if options:
        assert (restored.returncode, restored.stderr) == (0, "")
    else:  # the grants of the dump name a role that is missing
        assert f'role "{READER}" does not exist' in restored.stderr
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
    assert may_read(empty_postgres_url)
    upgrade(empty_postgres_url)  # nothing is left to do
    assert may_read(empty_postgres_url)


def test_missing_grants_are_restored(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        connection.execute(f"DROP OWNED BY {READER}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        may_read(postgres_url)
    upgrade(postgres_url)
    assert may_read(postgres_url)


def test_a_user_without_the_right_gets_the_statements_to_run(
    postgres_url: str, postgres_server: PostgresServer, request: pytest.FixtureRequest
) -> None:
    with connect(postgres_url) as connection:
        connection.execute("CREATE ROLE operator LOGIN PASSWORD 'of-the-operator'")
        connection.execute("GRANT USAGE ON SCHEMA karyo, reporting TO operator")
    url = make_url(postgres_url).set(username="operator", password="of-the-operator")
    try:
        with connect(postgres_url) as connection:
            connection.execute(f"DROP OWNED BY {READER}")
        with pytest.raises(
            ConfigurationError, match="GRANT USAGE ON SCHEMA reporting TO karyo_reporting; GRANT SELECT"
        ):
            restore_reader(url.render_as_string(hide_password=False))
        request.getfixturevalue("without_reader")
        with pytest.raises(ConfigurationError, match="CREATE ROLE karyo_reporting NOLOGIN;` as a superuser"):
            restore_reader(url.render_as_string(hide_password=False))
    finally:
        with connect(postgres_url) as connection:
            connection.execute("DROP OWNED BY operator")
            connection.execute("DROP ROLE operator")
