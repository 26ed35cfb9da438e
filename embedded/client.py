"""Access to a running stack: the first user starts its supervisor, later users join."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from embedded import supervisor
from embedded.errors import StackError, last_lines
from embedded.supervisor import ProcessSpec, ProcessState

MAX_STOP_SECONDS = 40.0  # s that a new user waits for an earlier run to stop; more than any grace period
MAX_START_SECONDS = 90.0  # s that a server may take to accept connections, crash recovery included
MAX_FAILURES = 4  # failures in a row after which a process counts as lost


@dataclass
class StackClient:
    """One user's connection to the supervisor; the stack runs until its last user has left.

    Args:
        run: folder of the pipe, the locks and ``state.json``.
        pipe: file descriptor of the pipe's writing end.
        users: file descriptor of ``users.lock``, held shared by every user.
        process: the supervisor if this client started it, ``None`` if this client joined.
    """

    run: Path
    pipe: int
    users: int
    process: subprocess.Popen[bytes] | None

    def start(self, spec: ProcessSpec) -> None:
        """Start a process, unless one of that name already runs.

        Raises:
            StackError: the supervisor has ended, or the command line is too long.
        """
        line = spec.to_line()
        if len(line) > select.PIPE_BUF:  # longer writes of two users could interleave
            raise StackError(f"cannot start {spec.name}: its command line is longer than {select.PIPE_BUF} bytes")
        try:
            os.write(self.pipe, line)
        except BrokenPipeError as error:
            raise StackError(f"the stack has been stopped; its log is {log_path(self.run, 'supervisor')}") from error

    def wait_until_ready(self, name: str, is_ready: Callable[[], bool]) -> None:
        """Wait until ``is_ready`` returns true.

        Raises:
            StackError: a process is lost, or ``MAX_START_SECONDS`` have passed; the message quotes the log.
        """
        deadline = time.monotonic() + MAX_START_SECONDS
        while not is_ready():
            check_states(self.run)
            if time.monotonic() > deadline:
                log = log_path(self.run, name)
                raise StackError(
                    f"{name} does not answer after {MAX_START_SECONDS:.0f} s; {log} ends:\n{last_lines(log)}"
                )
            time.sleep(0.02)

    def leave(self) -> None:
        """Close the connection.

        The last user of a stack that it started itself waits until the stack has stopped.
        """
        with supervisor.membership_lock(self.run):
            is_last = _try_lock(self.users, fcntl.LOCK_EX)
            os.close(self.pipe)
            os.close(self.users)
        if self.process is not None:
            if is_last:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(MAX_STOP_SECONDS)
            # The remaining users keep the supervisor alive: Popen must not wait for it.
            self.process.returncode = self.process.returncode or 0


def join_or_start(run: Path) -> StackClient:
    """Join the stack in ``run`` or, if none runs, start its supervisor.

    Files of a crashed run are removed: the kernel has released the locks of its processes.

    Raises:
        StackError: an earlier run has not stopped after ``MAX_STOP_SECONDS``.
    """
    deadline = time.monotonic() + MAX_STOP_SECONDS
    while time.monotonic() < deadline:
        with supervisor.membership_lock(run):
            client = _join(run) or _start(run)
        if client:
            return client
        time.sleep(0.1)
    raise StackError(
        f"an earlier run in {run.parent} has been stopping for {MAX_STOP_SECONDS:.0f} s and still is; "
        f"see {log_path(run, 'supervisor')}, or set KARYO_HOME to another folder"
    )


def log_path(run: Path, name: str) -> Path:
    """Return the log file of a process of the stack in ``run``."""
    return run.parent / "logs" / f"{name}.log"


def read_states(run: Path) -> dict[str, ProcessState]:
    """Return the processes of the stack in ``run`` by name; empty if it has stopped."""
    try:
        states: dict[str, ProcessState] = json.loads((run / "state.json").read_text())
    except FileNotFoundError:
        return {}
    return states


def check_states(run: Path) -> None:
    """Check that every process of the stack in ``run`` runs or will be restarted.

    Raises:
        StackError: a process has failed ``MAX_FAILURES`` times in a row; the message quotes its log.
    """
    for name, state in read_states(run).items():
        if not state["pid"] and state["failures"] >= MAX_FAILURES:
            log = log_path(run, name)
            raise StackError(
                f"the {name} does not stay up (exit status {state['exit']}); {log} ends:\n{last_lines(log)}"
            )


def _join(run: Path) -> StackClient | None:
    try:
        pipe = os.open(run / "control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # there is no pipe, or no supervisor reads it
        return None
    return StackClient(run, pipe, _lock_as_user(run), None)


def _start(run: Path) -> StackClient | None:
    lock = _open(run / "lock")
    if not _try_lock(lock, fcntl.LOCK_EX):
        os.close(lock)
        return None
    for name in ("control", "state.json", "stack.json"):
        (run / name).unlink(missing_ok=True)
    os.mkfifo(run / "control", 0o600)
    reader = os.open(run / "control", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    writer = os.open(run / "control", os.O_WRONLY | os.O_CLOEXEC)
    with log_path(run, "supervisor").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(run)],
            stdin=reader,
            stdout=log,
            stderr=log,
            pass_fds=[lock],  # the supervisor holds the lock for as long as it lives
            start_new_session=True,
        )
    os.close(reader)
    os.close(lock)
    return StackClient(run, writer, _lock_as_user(run), process)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_as_user(run: Path) -> int:
    users = _open(run / "users.lock")
    fcntl.flock(users, fcntl.LOCK_SH)
    return users
