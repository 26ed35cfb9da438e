"""PostgreSQL and Redis crash, drop connections and answer late under a worker."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import OperationalError

from embedded.postgres import SOCKET_NAME, PostgresServer
from embedded.redis import RedisServer
from worker.process.consumer_watchdog import EXIT_STATUS

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory

pytestmark = pytest.mark.stack

IMAGES = 6


class Proxy:
    """Proxy that forwards TCP connections to a server and fails on demand.

    Args:
        target: host and port, or the path of a Unix socket.
    """

    def __init__(self, target: tuple[str, int] | str) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._lost: set[socket.socket] = set()
        self.swallow: Callable[[bytes], bool] = lambda sent: False
        """Returns whether to forward what a client sent and to cut the connection in place of the answer."""
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Hold back everything, silently."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward everything that was held back."""
        self._flowing.set()

    def lose(self) -> None:
        """Discard everything on the open connections; new ones work."""
        self._lost.update(end for pair in self._pairs for end in pair)

    def close(self) -> None:
        """Close all connections."""
        self._flowing.set()
        for end in (self._listener, *(end for pair in self._pairs for end in pair)):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX if isinstance(self._target, str) else socket.AF_INET)
                server.connect(self._target)
                self._pairs.append((client, server))
                threading.Thread(target=self._pump, args=(client, server), daemon=True).start()
                threading.Thread(target=self._pump, args=(server, client), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                if source in self._lost:
                    continue
                if self.swallow(data):
                    sink.sendall(data)
                    time.sleep(0.2)  # the server has executed it
                    break
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def broker(redis_server: RedisServer) -> Iterator[Proxy]:
    proxy = Proxy(("127.0.0.1", redis_server.port))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[Proxy]:
    proxy = Proxy(str(postgres_server.socket_folder / SOCKET_NAME))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def laboratory(
    standing_laboratory: Laboratory, broker: Proxy, database: Proxy, redis_server: RedisServer
) -> Laboratory:
    """Laboratory whose worker uses proxies to its services; its scheduler does not."""
    direct = make_url(str(standing_laboratory.settings.database_url))
    proxied = direct.set(host="127.0.0.1", port=database.port, query={})
    standing_laboratory.worker(
        KARYO_BROKER_URL=f"redis://:{redis_server.password}@127.0.0.1:{broker.port}/1",
        KARYO_DATABASE_URL=proxied.render_as_string(hide_password=False),
        KARYO_SILENT_SECONDS="2",
    )
    standing_laboratory.scheduler()
    return standing_laboratory


@pytest.fixture
def work(laboratory: Laboratory, request: pytest.FixtureRequest) -> Laboratory:
    """Laboratory with new images, one of them done, in a case of its own."""
    name = request.node.name
    laboratory.add(laboratory.pipeline(seconds=0.2), IMAGES, prefix=name, accession=name)
    laboratory.wait(lambda: "done" in {state for file, state in laboratory.states().items() if file.startswith(name)})
    return laboratory


def assert_all_done_once(laboratory: Laboratory) -> None:
    laboratory.wait(laboratory.summarised)
    assert set(laboratory.states().values()) == {"done"}
    assert {analysis.attempts for analysis in laboratory.analyses()} == {1}
    laboratory.assert_each_once()


def test_the_database_crashes_and_recovers(work: Laboratory) -> None:
    mine = "application_name = 'karyo-worker' AND datname = current_database()"
    with work.sessions() as session:
        pid = session.scalars(text(f"SELECT pid FROM pg_stat_activity WHERE {mine} LIMIT 1")).one()
    os.kill(pid, signal.SIGKILL)  # PostgreSQL then ends every backend and recovers from its log
    time.sleep(0.3)

    def recovered() -> bool:
        with suppress(OperationalError):
            return work.ended() or True
        return False

    work.wait(recovered)
    assert_all_done_once(work)


def test_connections_drop_in_the_middle_of_a_transaction(work: Laboratory) -> None:
    statements = (
        "CREATE SEQUENCE drops",  # unlike a table, it remembers through the rollback
        """CREATE FUNCTION drop_connection() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('drops') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN NEW;
           END $$""",
        "CREATE TRIGGER drop_connection BEFORE INSERT ON karyo.qc_metrics EXECUTE FUNCTION drop_connection()",
    )
    with work.sessions.begin() as session:
        for statement in statements:
            session.execute(text(statement))
    assert_all_done_once(work)
    with work.sessions.begin() as session:
        assert session.scalars(text("SELECT last_value FROM drops")).one() > 2
        session.execute(text("DROP TRIGGER drop_connection ON karyo.qc_metrics"))


def test_a_commit_whose_answer_is_lost_is_not_repeated(work: Laboratory, database: Proxy) -> None:
    swallowed: list[bytes] = []

    def swallow(sent: bytes) -> bool:
        if b"COMMIT" not in sent or len(swallowed) >= 4:
            return False
        swallowed.append(sent)
        return True

    database.swallow = swallow
    work.wait(lambda: len(swallowed) == 4)
    assert_all_done_once(work)


def test_the_database_is_partitioned_for_less_than_a_lease(work: Laboratory, database: Proxy) -> None:
    database.freeze()
    time.sleep(0.8)
    database.thaw()
    assert_all_done_once(work)


def test_redis_is_partitioned_and_what_was_sent_arrives_late(work: Laboratory, broker: Proxy) -> None:
    broker.freeze()
    time.sleep(2)
    broker.thaw()
    assert_all_done_once(work)


def test_a_consumer_whose_connections_died_silently_is_replaced(
    work: Laboratory, broker: Proxy, redis_server: RedisServer
) -> None:
    work.wait(work.summarised)
    worker = work.processes[-1]
    broker.lose()
    work.add(work.pipeline(), IMAGES, prefix="untaken", accession="untaken")
    assert work.wait_for_exit(worker, 30) == EXIT_STATUS
    work.worker(KARYO_BROKER_URL=f"redis://:{redis_server.password}@127.0.0.1:{broker.port}/1")
    assert_all_done_once(work)
