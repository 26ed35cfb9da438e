"""The embedded stack: started, joined, killed in every way, and ended afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from embedded import EmbeddedStack, StackError
from embedded.client import join_or_start
from embedded.postgres import MAX_SOCKET_PATH, PostgresServer
from embedded.redis import RedisServer, free_port
from embedded.stack import metrics_address
from embedded.supervisor import ProcessSpec

pytestmark = pytest.mark.stack

OWNER = """
import json, signal, sys, time
from pathlib import Path
from embedded import EmbeddedStack
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job starts with it ignored
with EmbeddedStack(Path(sys.argv[1]), workers=0, scheduler=False) as stack:
    print(json.dumps(stack.pids), flush=True)
    time.sleep(600)
"""


def servers_only(home: Path) -> EmbeddedStack:
    return EmbeddedStack(home, workers=0, scheduler=False)


@dataclass
class Owner:
    process: subprocess.Popen[str]
    pids: dict[str, int]
    family: list[psutil.Process]

    @property
    def supervisor(self) -> psutil.Process:
        return next(process for process in self.family if "supervisor.py" in " ".join(process.cmdline()))


@contextmanager
def owner(home: Path, *, prefix: tuple[str, ...] = ()) -> Iterator[Owner]:
    """Another Python process that has entered the stack, and everything that it started."""
    command = [*prefix, sys.executable, "-c", OWNER, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=home.parent) as process:
        try:
            assert process.stdout is not None
            pids = json.loads(process.stdout.readline())
            yield Owner(process, pids, psutil.Process(process.pid).children(recursive=True))
        finally:
            process.kill()


def ended(processes: list[psutil.Process], seconds: float = 20.0) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def eventually(condition: Callable[[], object], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def connect(stack: EmbeddedStack) -> psycopg.Connection:
    return psycopg.connect(str(stack.settings.database_url).replace("+psycopg", ""), autocommit=True)


def query(stack: EmbeddedStack, statement: str) -> object:
    with connect(stack) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


def test_stack_starts_migrated_and_leaves_no_process(new_home: Path) -> None:
    others = psutil.Process().children(recursive=True)  # the servers of other tests of this session
    with servers_only(new_home) as stack:
        family = [child for child in psutil.Process().children(recursive=True) if child not in others]
        assert len(family) > 2
        assert set(stack.pids) == {"postgres", "redis"}
        assert query(stack, "SELECT count(*) FROM karyo.analyses") == 0
        broker = redis.Redis.from_url(str(stack.settings.broker_url))
        assert broker.ping()
        broker.close()
        assert stack.settings.object_store == (new_home / "objects").as_uri()
    assert ended(family, 0.5)
    assert stack.pids == {}
    with pytest.raises(StackError, match="not running"):
        stack.settings  # noqa: B018


def test_a_module_in_the_current_folder_is_not_imported(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cli.py").write_text("raise SystemExit('this is not karyoflow')")
    monkeypatch.chdir(tmp_path)
    log = home / "logs" / "scheduler.log"
    with EmbeddedStack(home, workers=0, scheduler=True):
        assert eventually(lambda: log.is_file() and log.read_text())
    assert "this is not karyoflow" not in log.read_text()


def test_data_persists_and_second_start_takes_under_three_seconds(home: Path) -> None:
    with servers_only(home) as stack, connect(stack) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 46 AS chromosomes")
    began = time.monotonic()
    with servers_only(home) as stack:
        seconds = time.monotonic() - began
        assert query(stack, "SELECT chromosomes FROM kept") == 46
    assert seconds < 3


def test_servers_require_a_password_and_listen_on_loopback_only(home: Path) -> None:
    with servers_only(home) as stack:
        assert query(stack, "SHOW listen_addresses") == ""
        assert query(stack, "SHOW fsync") == "on"
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(host=str(home / "run" / "postgres"), user="karyo", dbname="karyo", password="karyo")
        port = str(stack.settings.broker_url).rpartition(":")[2].split("/")[0]
        stranger = redis.Redis(port=int(port), retry=Retry(NoBackoff(), 0))
        with stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        addresses = {c.laddr.ip for c in psutil.Process(stack.pids["redis"]).net_connections() if c.laddr}
        assert addresses == {"127.0.0.1"}
    for secret in ("secrets.json", "run/stack.json", "run/redis.conf"):
        assert (home / secret).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_owner_stops_every_process(home: Path, number: signal.Signals) -> None:
    with owner(home) as first:
        first.process.send_signal(number)
        assert first.process.wait(30) != 0
        assert ended(first.family, 1.0)


def test_kill_9_of_the_owner_leaves_no_process_and_stops_postgres_cleanly(home: Path) -> None:
    with owner(home) as first:
        first.process.kill()
        with servers_only(home) as stack:  # joins, or waits until the dead owner's stack has stopped
            assert query(stack, "SELECT 1") == 1
        assert ended(first.family)
    assert "was not properly shut down" not in (home / "logs" / "postgres.log").read_text()


def test_kill_9_of_owner_and_supervisor_leaves_no_process(home: Path) -> None:
    with owner(home) as first:
        first.supervisor.kill()
        first.process.kill()
        assert ended(first.family)
        with servers_only(home) as stack:
            assert query(stack, "SELECT 1") == 1


def test_stack_recovers_from_kill_9_of_every_process(home: Path) -> None:
    with owner(home) as first:
        for process in (first.supervisor, *first.family):
            with suppress(psutil.NoSuchProcess):  # the kernel may be quicker, once the supervisor has ended
                process.kill()
        first.process.kill()
    assert ended(first.family)
    assert (home / "postgres" / "postmaster.pid").exists()
    (home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{home / 'postgres'}\n")  # the number, reused
    with servers_only(home) as stack:
        assert query(stack, "SELECT 1") == 1


def test_interrupted_initdb_is_repeated(new_home: Path) -> None:
    (new_home / "postgres.new").mkdir(parents=True)
    (new_home / "postgres.new" / "PG_VERSION").write_text("18\n")
    with servers_only(new_home) as stack:
        assert query(stack, "SELECT 1") == 1
    assert not (new_home / "postgres.new").exists()


def test_a_redis_that_does_not_listen_yet_is_not_ready_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    assert not RedisServer(tmp_path, "secret", free_port()).is_ready()
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", ["redis", "postgres"])
def test_process_that_dies_is_restarted(home: Path, name: str) -> None:
    with servers_only(home) as stack:
        before = stack.pids[name]
        os.kill(before, signal.SIGKILL)
        assert eventually(lambda: stack.pids.get(name, before) != before)
        if name == "postgres":
            assert eventually(PostgresServer(home, _password(home)).is_ready)
        stack.check()


def _password(home: Path) -> str:
    return str(json.loads((home / "secrets.json").read_text())["postgres"])


def test_two_homes_run_two_stacks(home: Path, new_home: Path) -> None:
    with servers_only(home) as one, servers_only(new_home) as two:
        assert set(one.pids.values()).isdisjoint(two.pids.values())
        assert one.settings.broker_url != two.settings.broker_url
        assert query(one, "SHOW data_directory") == str(home / "postgres")
        assert query(two, "SHOW data_directory") == str(new_home / "postgres")


def test_second_user_joins_and_keeps_the_stack_running(home: Path) -> None:
    with owner(home) as first:
        with servers_only(home) as second:
            assert second.pids == first.pids
            first.process.terminate()
            first.process.wait(30)
            assert query(second, "SELECT 1") == 1
            assert second.pids == first.pids
        assert ended(first.family)


def test_process_that_keeps_failing_is_an_error_that_quotes_its_log(home: Path) -> None:
    with servers_only(home) as stack:
        client = join_or_start(home / "run")
        log = str(stack.log_paths["worker"])
        client.start(ProcessSpec("worker", [sys.executable, "-c", "raise SystemExit('no engine')"], log, tier=1))

        def is_lost() -> bool:
            try:
                stack.check()
            except StackError as error:
                return "worker.log" in str(error) and "no engine" in str(error)
            return False

        assert eventually(is_lost)
        client.leave()


def test_restarted_worker_does_not_meet_children_of_the_killed_one(home: Path) -> None:
    script = "import os, subprocess, time; subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(600)"
    with servers_only(home) as stack:
        client = join_or_start(home / "run")
        client.start(ProcessSpec("worker", [sys.executable, "-c", script], str(stack.log_paths["worker"]), tier=1))
        assert eventually(lambda: "worker" in stack.pids and psutil.Process(stack.pids["worker"]).children())
        first = psutil.Process(stack.pids["worker"])
        family = [first, *first.children()]
        first.kill()
        assert eventually(lambda: stack.pids.get("worker", first.pid) != first.pid)
        client.leave()
    assert ended(family, 1.0)


def test_long_home_gets_a_short_socket_path(home: Path) -> None:
    long = home.parent / ("x" * 60) / ("y" * 60)
    long.parent.mkdir()
    home.rename(long)
    with servers_only(long) as stack:
        sockets = str(query(stack, "SHOW unix_socket_directories"))
        assert len(sockets) < MAX_SOCKET_PATH
        assert not sockets.startswith(str(home.parent))
        assert Path(sockets).stat().st_mode & 0o077 == 0


def test_small_shared_memory_is_not_used(tmp_path: Path) -> None:
    command = " ".join(PostgresServer(tmp_path, "secret", shared_memory=tmp_path / "absent").command())
    assert "dynamic_shared_memory_type=mmap" in command


def test_unwritable_home_is_an_error_that_names_karyo_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="set KARYO_HOME"):
        servers_only(tmp_path / "file" / "home").__enter__()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_stack_runs_as_an_ordinary_user(new_home: Path) -> None:
    new_home.mkdir()
    os.chown(new_home, 65534, 65534)
    # The interpreter's folder may be closed to others; the capability grants reading only.
    reader = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    with owner(new_home, prefix=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *reader)) as first:
        assert {process.uids().effective for process in first.family} == {65534}
        first.process.terminate()
        first.process.wait(30)
        assert ended(first.family, 1.0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can close a folder to the server's user")
def test_stack_of_root_runs_in_a_folder_closed_to_others(new_home: Path) -> None:
    new_home.parent.chmod(0o700)
    with servers_only(new_home) as stack:
        assert psutil.Process(stack.pids["postgres"]).uids().effective != 0
    assert new_home.parent.stat().st_mode & 0o077 == 0


def test_each_process_has_its_own_metrics_port(monkeypatch: pytest.MonkeyPatch) -> None:
    assert metrics_address(0) == {}
    monkeypatch.setenv("KARYO_METRICS_ADDRESS", "127.0.0.1:9464")
    assert [metrics_address(number)["KARYO_METRICS_ADDRESS"] for number in (0, 1)] == [
        "127.0.0.1:9464",
        "127.0.0.1:9465",
    ]
