"""The embedded stack: PostgreSQL, Redis, objects, worker and scheduler in one folder.

It runs the programs of production and the same code; only the addresses differ.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self, TypedDict

from db import migrate
from embedded.client import StackClient, check_states, join_or_start, log_path, read_states
from embedded.errors import HomeUnusable, StackError
from embedded.postgres import PostgresServer
from embedded.redis import RedisServer, free_port
from embedded.supervisor import ProcessSpec, die_with_parent
from settings import Settings

PROCESS_NAMES = ("postgres", "redis", "worker", "scheduler", "supervisor")


class StackUrls(TypedDict):
    """Addresses of a stack's services, under the names of their settings."""

    database_url: str
    broker_url: str
    object_store: str


class EmbeddedStack:
    """The stack in ``home``, started or joined on entering; it stops when its last user leaves.

    The supervisor restarts a process that dies. No process remains when the owner ends, even by ``kill -9``.
    Everything in ``home`` persists until the next run.

    Args:
        home: KARYO_HOME, created if missing; holds data, logs and secrets.
        workers: worker processes; 0 starts no worker.
        scheduler: whether to start the scheduler.

    Raises:
        StackError: on entering, when a process does not start; the message quotes its log.

    Example:
        >>> with EmbeddedStack(Path("/tmp/home"), workers=0) as stack:  # doctest: +SKIP
        ...     stack.settings.database_url
    """

    def __init__(self, home: Path, *, workers: int = 1, scheduler: bool = True) -> None:
        self.home = home.expanduser().resolve()
        self._workers = workers
        self._scheduler = scheduler
        self._run = self.home / "run"
        self._client: StackClient | None = None
        self._settings: Settings | None = None

    def __enter__(self) -> Self:
        """Start or join the stack."""
        make_folders(self.home)
        self._client = join_or_start(self._run)
        _exit_on_sigterm()
        try:
            urls = self._start_servers(self._client) if self._client.process else self._wait_for_urls(self._client)
            self._settings = Settings.model_validate({"home": self.home, "embedded": True, **urls})
            self._start_processes(self._client, urls)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the stack, which stops unless it has other users."""
        self._leave()

    @property
    def settings(self) -> Settings:
        """The settings with the stack's addresses."""
        if self._settings is None:
            raise StackError("the embedded stack is not running; use it in a with statement")
        return self._settings

    @property
    def log_paths(self) -> dict[str, Path]:
        """The log file of every process, by its name."""
        return {name: log_path(self._run, name) for name in PROCESS_NAMES}

    @property
    def pids(self) -> dict[str, int]:
        """The pid of every process that runs now, by its name."""
        return {name: state["pid"] for name, state in read_states(self._run).items() if state["pid"]}

    def check(self) -> None:
        """Check that every process runs or will be restarted.

        Raises:
            StackError: a process has failed again and again; the message quotes its log.
        """
        check_states(self._run)

    def _start_servers(self, client: StackClient) -> StackUrls:
        postgres = PostgresServer(self.home, self._secret("postgres"))
        redis = RedisServer(self.home, secrets.token_urlsafe(24), free_port())
        client.start(redis.prepare())
        client.start(postgres.prepare())
        client.wait_until_ready("postgres", postgres.is_ready)
        postgres.create_database()
        client.wait_until_ready("redis", redis.is_ready)
        urls = StackUrls(
            database_url=postgres.url(), broker_url=redis.url, object_store=(self.home / "objects").as_uri()
        )
        migrate.upgrade(urls["database_url"])
        _write_private(self._run / "stack.json", urls)
        return urls

    def _wait_for_urls(self, client: StackClient) -> StackUrls:
        """Return the addresses of a stack that another user starts, once it is ready."""
        path = self._run / "stack.json"
        client.wait_until_ready("postgres", path.exists)
        urls: StackUrls = json.loads(path.read_text())
        return urls

    def _start_processes(self, client: StackClient, urls: StackUrls) -> None:
        commands = {}
        if self._workers:
            commands["worker"] = ["worker", "--concurrency", str(self._workers)]
        if self._scheduler:
            commands["scheduler"] = ["scheduler"]
        settings = {"home": str(self.home), "embedded": "1", **urls}
        env = {f"KARYO_{name.upper()}": str(value) for name, value in settings.items()}
        for number, (name, command) in enumerate(commands.items()):
            # -P: a file such as cli.py in the current folder must not be imported.
            argv = [*die_with_parent(signal.SIGTERM), sys.executable, "-P", "-m", "cli.main", *command]
            log = str(log_path(self._run, name))
            client.start(ProcessSpec(name, argv, log, env | metrics_address(number), tier=1))

    def _secret(self, name: str) -> str:
        path = self.home / "secrets.json"
        if not path.exists():
            _write_private(path, {name: secrets.token_urlsafe(24)})
        return str(json.loads(path.read_text())[name])

    def _leave(self) -> None:
        if signal.getsignal(signal.SIGTERM) is _exit_on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        client, self._client, self._settings = self._client, None, None
        if client is not None:
            client.leave()


def make_folders(home: Path) -> None:
    """Create the folders of a stack in ``home``.

    Raises:
        HomeUnusable: ``home`` cannot be written.
    """
    try:
        for folder in (home, home / "run"):  # the user that PostgreSQL runs as passes through these two
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        for folder in (home / "logs", home / "objects"):
            folder.mkdir(exist_ok=True, mode=0o700)
        (home / "run" / "membership.lock").touch(mode=0o600)
    except OSError as error:
        raise HomeUnusable(
            f"cannot write {error.filename}: {error.strerror}; set KARYO_HOME to a folder of yours"
        ) from error


def metrics_address(number: int) -> dict[str, str]:
    """Return the metrics setting of the process with this number.

    The processes use consecutive ports, from that of KARYO_METRICS_ADDRESS; without it, the result is empty.
    """
    host, _, port = os.environ.get("KARYO_METRICS_ADDRESS", "").rpartition(":")
    return {"KARYO_METRICS_ADDRESS": f"{host}:{int(port) + number}"} if port else {}


def _exit_on_sigterm() -> None:
    """Let SIGTERM unwind the with statement, unless the program handles it already."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit_on_signal)


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _write_private(path: Path, document: Mapping[str, object]) -> None:
    """Write a JSON file that only its owner can read, atomically."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file)
    draft.replace(path)
