"""The whole of karyoflow on one machine and in one folder: PostgreSQL, Redis, objects, a worker and a scheduler.

The parts are the ones of production and so is the code that talks to them; only their addresses differ.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn, Self

from db import migrate
from embedded.client import Control, enter
from embedded.errors import StackError, last_lines
from embedded.postgres import Postgres
from embedded.redis import Broker, free_port
from embedded.supervisor import Part, die_with_parent
from settings import Settings

START_SECONDS = 90.0
"""How long a service may take to answer; a database that crashed recovers first."""
GIVE_UP_AFTER = 4
"""Deaths in a row, none of them after a steady run, after which a part counts as lost."""
_URLS = ("database_url", "broker_url", "object_store")


class EmbeddedStack:
    """Starts the stack in ``home``, or joins the one that already runs there; stops it when its last user leaves.

    A part that dies is started again. Nothing is left behind when the owner ends, even by ``kill -9``, and everything
    in ``home`` lasts until the next run.

    Args:
        home: KARYO_HOME; made if missing. State of the services, their logs and the secrets live there.
        workers: processes of the worker; 0 starts none.
        scheduler: whether to start the scheduler.

    Raises:
        StackError: on entering, when a part does not start; the message names its log and what it says.
    """

    def __init__(self, home: Path, *, workers: int = 1, scheduler: bool = True) -> None:
        self.home = home.expanduser().resolve()
        self._workers = workers
        self._scheduler = scheduler
        self._run = self.home / "run"
        self._control: Control | None = None
        self._settings: Settings | None = None
        self._terminated = False

    def __enter__(self) -> Self:
        self._make_folders()
        self._control = enter(self._run)
        self._catch_sigterm()
        try:
            urls = self._start_services() if self._control.process else self._await_services()
            self._settings = Settings.model_validate({"home": self.home, "embedded": True, **urls})
            self._start_processes()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    @property
    def settings(self) -> Settings:
        """The settings with the stack's addresses."""
        if self._settings is None:
            raise StackError("the embedded stack is not running; use it in a with statement")
        return self._settings

    @property
    def log_paths(self) -> dict[str, Path]:
        """The log of every part, by its name."""
        names = ("postgres", "redis", "worker", "scheduler", "keeper")
        return {name: self.home / "logs" / f"{name}.log" for name in names}

    @property
    def pids(self) -> dict[str, int]:
        """The process of every part that runs now, by its name."""
        return {name: state["pid"] for name, state in self._state().items() if state["pid"]}

    def check(self) -> None:
        """Look whether every part runs, or is only being started again.

        Raises:
            StackError: a part has died again and again; the message names its log and what it says.
        """
        for name, state in self._state().items():
            if not state["pid"] and state["failures"] >= GIVE_UP_AFTER:
                log = self.log_paths[name]
                raise StackError(
                    f"the {name} does not stay up (exit status {state['exit']}); {log} ends:\n{last_lines(log)}"
                )

    def _state(self) -> dict[str, dict[str, int]]:
        try:
            state: dict[str, dict[str, int]] = json.loads((self._run / "state.json").read_text())
        except FileNotFoundError:
            return {}
        return state

    def _make_folders(self) -> None:
        try:
            for folder in (self.home, self._run):  # PostgreSQL, which may be another user, passes through these two
                folder.mkdir(parents=True, exist_ok=True, mode=0o711)
            for folder in (self.home / "logs", self.home / "objects"):
                folder.mkdir(exist_ok=True, mode=0o700)
            (self._run / "door").touch(mode=0o600)
        except OSError as error:
            raise StackError(
                f"cannot write {error.filename}: {error.strerror}; set KARYO_HOME to a folder of yours"
            ) from error

    def _start_services(self) -> dict[str, str]:
        assert self._control is not None
        password = self._secret("postgres")
        postgres = Postgres(self.home, password)
        broker = Broker(self.home, secrets.token_urlsafe(24), free_port())
        self._control.send(broker.prepare())
        self._control.send(postgres.prepare())
        self._await("postgres", postgres.answers)
        self._await("redis", broker.answers)
        urls = {
            "database_url": postgres.url(),
            "broker_url": broker.url,
            "object_store": (self.home / "objects").as_uri(),
        }
        migrate.upgrade(urls["database_url"])
        _write_private(self._run / "stack.json", urls)
        return urls

    def _await_services(self) -> dict[str, str]:
        """Addresses of a stack that somebody else started, once it is ready."""
        path = self._run / "stack.json"
        self._await("postgres", path.exists)
        urls: dict[str, str] = json.loads(path.read_text())
        return urls

    def _start_processes(self) -> None:
        assert self._control is not None
        commands = {}
        if self._workers:
            commands["worker"] = ["worker", "--concurrency", str(self._workers)]
        if self._scheduler:
            commands["scheduler"] = ["scheduler"]
        env = {f"KARYO_{name.upper()}": str(getattr(self.settings, name)) for name in (*_URLS, "home")}
        for number, (name, command) in enumerate(commands.items()):
            env |= metrics_address(number)
            argv = [*die_with_parent(signal.SIGTERM), sys.executable, "-m", "cli.main", *command]
            self._control.send(Part(name, argv, str(self.log_paths[name]), env | {"KARYO_EMBEDDED": "1"}, tier=1))

    def _await(self, name: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            self.check()
            if time.monotonic() > deadline:
                log = self.log_paths[name]
                raise StackError(f"{name} does not answer after {START_SECONDS:.0f} s; {log} ends:\n{last_lines(log)}")
            time.sleep(0.02)

    def _secret(self, name: str) -> str:
        path = self.home / "secrets.json"
        if not path.exists():
            _write_private(path, {name: secrets.token_urlsafe(24)})
        return str(json.loads(path.read_text())[name])

    def _catch_sigterm(self) -> None:
        """Let SIGTERM unwind the stack, unless the program has plans of its own for it."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _exit_on_signal)

    def _leave(self) -> None:
        if signal.getsignal(signal.SIGTERM) is _exit_on_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        control, self._control, self._settings = self._control, None, None
        if control is not None:
            control.leave()


def metrics_address(number: int) -> dict[str, str]:
    """Where the part of this number shows its metrics: each on the port after the last one's, if they are wanted."""
    host, _, port = os.environ.get("KARYO_METRICS_ADDRESS", "").rpartition(":")
    return {"KARYO_METRICS_ADDRESS": f"{host}:{int(port) + number}"} if port else {}


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _write_private(path: Path, document: dict[str, str]) -> None:
    """Write JSON that only this user can read, all of it or nothing."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(document, file)
    draft.replace(path)
