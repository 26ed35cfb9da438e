"""Commands wait for a real PostgreSQL that stops, starts or refuses for a while."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from db.engine import SessionFactory, make_engine, make_sessions
from db.outages import Patience, describe, is_refusal
from embedded.postgres import PostgresServer
from embedded.stack import make_folders

T = TypeVar("T")

PASSWORD = "hunter2-TopSecret"
AWAY_SECONDS = 1.5


class Server:
    """A PostgreSQL server that the test starts and stops."""

    def __init__(self, home: Path) -> None:
        make_folders(home)
        self.files = PostgresServer(home, PASSWORD, durable=False)
        self.command = self.files.prepare().argv
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, wait: bool = True) -> None:
        with self.files.log.open("ab") as log:
            self.process = subprocess.Popen([*self.command, *options], stdout=log, stderr=log, cwd="/")
        while wait and not self.files.is_ready():
            time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(2)
            self.process.wait(30)
            self.process = None


def answer_of(call: Callable[[], T], mend: Callable[[], None]) -> T:
    """Return the answer of a call that begins ``AWAY_SECONDS`` before ``mend``.

    The server is started in this thread, not in one that ends: PR_SET_PDEATHSIG, prctl(2), means the thread.
    """
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(call)
        time.sleep(AWAY_SECONDS)
        mend()
        return answer.result()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with TemporaryDirectory(prefix="karyo-test-") as folder:
        Path(folder).chmod(0o711)
        found = Server(Path(folder))
        found.start()
        yield found
        found.stop()


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def patience(notices: list[str]) -> Patience:
    return Patience(30.0, notices.append)


@pytest.fixture
def engine(server: Server, patience: Patience) -> Iterator[Engine]:
    made = make_engine(server.files.url("postgres"), patience=patience)
    yield made
    made.dispose()


@pytest.fixture
def sessions(engine: Engine, patience: Patience) -> SessionFactory:
    return make_sessions(engine, patience)


def select_one(session: Session) -> int | None:
    return session.scalar(text("SELECT 1"))


def test_a_restart_between_two_transactions_is_waited_for(
    server: Server, sessions: SessionFactory, notices: list[str]
) -> None:
    assert sessions.transact(select_one) == 1
    server.stop()
    assert answer_of(lambda: sessions.transact(select_one), lambda: server.start(wait=False)) == 1
    assert len(notices) == 1
    assert notices[0].startswith("waiting for the database, at most 30 s: ")


def test_a_transaction_that_is_ended_in_its_middle_is_repeated(sessions: SessionFactory, notices: list[str]) -> None:
    calls = []

    def work(session: Session) -> int | None:
        calls.append(session)
        if len(calls) == 1:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return select_one(session)

    assert sessions.transact(work) == 1
    assert len(calls) == 2
    assert "administrator command" in notices[0]


def test_a_server_that_does_not_accept_connections_yet_is_waited_for_from_the_beginning(
    server: Server, sessions: SessionFactory, notices: list[str]
) -> None:
    server.stop()
    standby = server.files.data / "standby.signal"
    standby.touch()
    server.start("-c", "hot_standby=off", wait=False)

    def become_primary() -> None:
        server.stop()
        standby.unlink()
        server.start(wait=False)

    while not (server.files.socket_folder / ".s.PGSQL.5432").exists():
        time.sleep(0.05)
    assert answer_of(lambda: sessions.transact(select_one), become_primary) == 1
    assert "the database system is" in notices[0]


def test_an_address_without_a_server_is_not_waited_for(server: Server, notices: list[str]) -> None:
    url = make_url(server.files.url("postgres")).update_query_dict({"host": "/nonexistent"})
    engine = make_engine(url.render_as_string(hide_password=False), patience=Patience(30.0, notices.append))
    began = time.monotonic()
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert time.monotonic() - began < 10
    assert notices == []
    assert not is_refusal(caught.value)
    assert PASSWORD not in describe(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"password": "another"}, "password authentication failed"),
        ({"database": "nosuch"}, "does not exist"),
        ({"username": "nobody"}, "password authentication failed"),
    ],
)
def test_a_refusal_is_not_waited_for(server: Server, notices: list[str], change: dict[str, str], reason: str) -> None:
    patience = Patience(30.0, notices.append)
    make_engine(server.files.url("postgres"), patience=patience, pooled=False).connect().close()
    url = make_url(server.files.url("postgres")).set(**change)
    engine = make_engine(url.render_as_string(hide_password=False), patience=patience)
    with pytest.raises(OperationalError) as caught:
        engine.connect()
    assert is_refusal(caught.value)
    assert reason in describe(caught.value)
    assert "\n" not in describe(caught.value)
    assert notices == []


def test_patience_ends(server: Server, notices: list[str]) -> None:
    patience = Patience(1.0, notices.append)
    engine = make_engine(server.files.url("postgres"), patience=patience)
    sessions = make_sessions(engine, patience)
    assert sessions.transact(select_one) == 1
    server.stop()
    try:
        with pytest.raises(OperationalError):
            sessions.transact(select_one)
    finally:
        server.start()
        engine.dispose()
