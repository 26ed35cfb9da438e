"""Supervisor of an embedded stack: restarts processes, stops them after the last user.

The supervisor reads process specifications, one JSON line each, from a pipe. Every user of the stack holds that pipe
open. The kernel closes a pipe when its holder dies, so the end of the pipe covers an ordinary exit, Ctrl-C and
``kill -9`` of the owner alike. The file runs as a script and imports the standard library only: it starts fast, and an
error elsewhere in karyoflow cannot end it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from io import FileIO
from pathlib import Path
from typing import TypedDict

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
TICK_SECONDS = 0.2  # s between two checks of the children
STEADY_SECONDS = 10.0  # s of running after which a failure counts as the first again
FIRST_RESTART_DELAY = 0.1  # s; doubles with each failure
MAX_RESTART_DELAY = 10.0  # s
MAX_LOG_BYTES = 10 * 2**20  # bytes; a larger log is rotated when its process starts
COMMAND_NOT_STARTED = 127  # exit status, as in sh(1)


class ProcessState(TypedDict):
    """One entry of ``state.json``; ``pid`` is 0 while the process waits for its restart."""

    pid: int
    failures: int
    restarts: int
    exit: int | None


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running.

    Args:
        name: unique within the stack.
        argv: command line.
        log: file that receives stdout and stderr.
        env: variables added to the supervisor's environment.
        stop_signal: signal that asks the process to stop.
        grace_seconds: s between ``stop_signal`` and SIGKILL.
        tier: higher tiers depend on lower ones and are stopped first.
    """

    name: str
    argv: list[str]
    log: str
    env: dict[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 8.0
    tier: int = 0

    def to_line(self) -> bytes:
        """Return the specification as one line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass
class Child:
    """A specification and its current process.

    ``pid`` is 0 between two processes. ``failures`` counts deaths since the last steady run. ``started`` and ``due``
    are seconds of the monotonic clock.
    """

    spec: ProcessSpec
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    restarts: int = 0
    last_exit: int | None = None


@contextlib.contextmanager
def membership_lock(run: Path) -> Iterator[None]:
    """Hold the lock under which users join, users leave and the supervisor decides to stop.

    Without it, a user could join a stack that is about to stop.
    """
    handle = os.open(run / "membership.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def die_with_parent(stop_signal: int) -> list[str]:
    """Return a command prefix that sends ``stop_signal`` when the parent dies.

    It is empty without util-linux.
    """
    for folder in ("/usr/bin", "/bin", "/usr/sbin"):
        if os.access(f"{folder}/setpriv", os.X_OK):
            return [f"{folder}/setpriv", f"--pdeathsig={signal.Signals(stop_signal).name.removeprefix('SIG')}"]
    return []


class Supervisor:
    """Parent of every process of one stack.

    Args:
        run: folder of the pipe, the locks and ``state.json``.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        self.children: dict[str, Child] = {}
        self.stop_requested = False

    def serve(self, control: int) -> None:
        """Supervise until the last user has closed the pipe or SIGTERM arrives.

        When this returns, every child has stopped.

        Args:
            control: file descriptor of the pipe's reading end.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._request_stop)
        # Orphaned grandchildren become children of the supervisor, which can then stop them.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        buffer = b""
        while not self.stop_requested:
            ready, _, _ = select.select([control], [], [], TICK_SECONDS)
            if ready:
                data = os.read(control, 65536)
                if not data and self._closed(control):
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self.add(ProcessSpec(**json.loads(line)))
            self.reap()
            self.start_due()
        self.stop()

    def _request_stop(self, *_: object) -> None:
        self.stop_requested = True

    def _closed(self, control: int) -> bool:
        with membership_lock(self.run):
            if select.select([control], [], [], 0)[0] and _no_writer(control):
                (self.run / "control").unlink(missing_ok=True)
                return True
        return False

    def add(self, spec: ProcessSpec) -> None:
        """Start a process, unless one of that name is already supervised."""
        if spec.name not in self.children:
            self.children[spec.name] = Child(spec)
            self.start_due()

    def start_due(self) -> None:
        """Start every child without a process whose restart delay has passed."""
        now = time.monotonic()
        due = [child for child in self.children.values() if not child.pid and child.due <= now]
        for child in due:
            self._start(child)
        if due:
            self.publish()

    def _start(self, child: Child) -> None:
        spec = child.spec
        with _open_log(Path(spec.log)) as log:
            try:
                process = subprocess.Popen(
                    spec.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **spec.env},
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"cannot start {spec.argv[0]}: {error}\n".encode())
                self._schedule_restart(child, COMMAND_NOT_STARTED)
                return
        child.pid, child.started = process.pid, time.monotonic()
        process.returncode = 0  # `reap` collects the process, not the Popen object
        log_line(f"{spec.name} started, pid {child.pid}")

    def _schedule_restart(self, child: Child, status: int) -> None:
        now = time.monotonic()
        child.failures = 1 if child.pid and now - child.started > STEADY_SECONDS else child.failures + 1
        delay = min(FIRST_RESTART_DELAY * 2 ** (child.failures - 1), MAX_RESTART_DELAY)
        child.pid, child.due, child.last_exit, child.restarts = 0, now + delay, status, child.restarts + 1
        log_line(f"{child.spec.name} ended with status {status}; restart in {delay:.1f} s")

    def reap(self) -> None:
        """Collect ended processes and schedule restarts; the delay grows with each failure."""
        for pid, status in _ended_processes():
            for child in self.children.values():
                if child.pid == pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)  # its descendants must not meet its successor
                    self._schedule_restart(child, os.waitstatus_to_exitcode(status))
                    self.publish()

    def publish(self) -> None:
        """Write the state of every child to ``state.json``."""
        states: dict[str, ProcessState] = {
            name: {"pid": child.pid, "failures": child.failures, "restarts": child.restarts, "exit": child.last_exit}
            for name, child in self.children.items()
        }
        draft = self.run / "state.json.new"
        draft.write_text(json.dumps(states))
        draft.replace(self.run / "state.json")

    def stop(self) -> None:
        """Stop the children, the highest tier first, then every other descendant."""
        for tier in sorted({child.spec.tier for child in self.children.values()}, reverse=True):
            self._stop_tier(tier)
        while remaining := _child_processes():
            for pid in remaining:
                _send(pid, signal.SIGKILL)
            time.sleep(0.02)
            list(_ended_processes())
        (self.run / "state.json").unlink(missing_ok=True)
        log_line("all processes have stopped")

    def _stop_tier(self, tier: int) -> None:
        running = {child.pid: child.spec for child in self.children.values() if child.pid and child.spec.tier == tier}
        for pid, spec in running.items():
            _send(pid, spec.stop_signal)
        began = time.monotonic()
        while running:
            for pid, _ in _ended_processes():
                running.pop(pid, None)
            for pid, spec in running.items():
                if time.monotonic() - began > spec.grace_seconds:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)
            time.sleep(0.02)


def log_line(text: str) -> None:
    """Write a line with the time in UTC to the supervisor's log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, flush=True)


def _no_writer(control: int) -> bool:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    return all(event & select.POLLHUP and not event & select.POLLIN for _, event in poll.poll(0))


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _open_log(path: Path) -> FileIO:
    if path.exists() and path.stat().st_size > MAX_LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab", buffering=0)


def _ended_processes() -> Iterator[tuple[int, int]]:
    """Yield the pid and wait status of every child process that has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def _child_processes() -> list[int]:
    own_pid = str(os.getpid())
    pids = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command name is in parentheses and may contain any character; state and parent follow it.
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if fields[1] == own_pid:
                    pids.append(int(entry.name))
    return pids


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).serve(control=0)
