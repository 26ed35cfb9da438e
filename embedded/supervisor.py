"""The keeper: a small process that keeps the parts of an embedded stack running and stops them when nobody needs them.

It reads the parts to start, one JSON line each, from a pipe that every user of the stack holds open. The kernel closes
a pipe when its holder dies, however it dies, so the end of that pipe is the one signal that ends everything: an
ordinary exit, Ctrl-C and ``kill -9`` of the owner are the same case. Only the standard library is imported, and the
file runs as a script, so that it starts at once and no fault of the rest can bring it down.
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

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
TICK_SECONDS = 0.2
STEADY_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 10.0
LOG_BYTES = 10 * 2**20


@dataclass(frozen=True)
class Part:
    """A child process to keep running."""

    name: str
    argv: list[str]
    log: str
    env: dict[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    grace_seconds: float = 8.0
    """How long it may take to stop before it is killed."""
    tier: int = 0
    """Parts of a higher tier use those of a lower one and are stopped before them."""

    def to_line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass
class Child:
    """A part and the process that currently is it; ``pid`` 0 while it waits to be started again."""

    part: Part
    pid: int = 0
    started: float = 0.0
    due: float = 0.0
    failures: int = 0
    """Deaths in a row, none of them after a steady run."""
    restarts: int = 0
    last_exit: int | None = None


@contextlib.contextmanager
def door(run: Path) -> Iterator[None]:
    """Held while somebody enters the stack or the keeper decides to close it, so that nobody enters a closing one."""
    handle = os.open(run / "door", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def die_with_parent(stop_signal: int) -> list[str]:
    """Command prefix that lets the kernel send ``stop_signal`` when the parent dies; empty without util-linux."""
    for folder in ("/usr/bin", "/bin", "/usr/sbin"):
        if os.access(f"{folder}/setpriv", os.X_OK):
            return [f"{folder}/setpriv", f"--pdeathsig={signal.Signals(stop_signal).name.removeprefix('SIG')}"]
    return []


class Keeper:
    """Supervises children in ``run`` (the folder of the pipe, the locks and ``state.json``)."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.children: dict[str, Child] = {}
        self.asked_to_stop = False

    def keep(self, control: int) -> None:
        """Serve until the last holder of the pipe is gone or SIGTERM comes; returns when no child is left."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        # Grandchildren whose parent was killed come to the keeper, which can then stop them too.
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        buffer = b""
        while not self.asked_to_stop:
            ready, _, _ = select.select([control], [], [], TICK_SECONDS)
            if ready:
                data = os.read(control, 65536)
                if not data and self._closed(control):
                    break
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    self.add(Part(**json.loads(line)))
            self.reap()
            self.start_due()
        self.stop()

    def _ask_to_stop(self, *_: object) -> None:
        self.asked_to_stop = True

    def _closed(self, control: int) -> bool:
        with door(self.run):
            if select.select([control], [], [], 0)[0] and self._writer_gone(control):
                (self.run / "control").unlink(missing_ok=True)
                return True
        return False

    @staticmethod
    def _writer_gone(control: int) -> bool:
        poll = select.poll()
        poll.register(control, select.POLLIN)
        return all(event & select.POLLHUP and not event & select.POLLIN for _, event in poll.poll(0))

    def add(self, part: Part) -> None:
        """Start a part, unless one of that name is already kept."""
        if part.name not in self.children:
            self.children[part.name] = Child(part)
            self.start_due()

    def start_due(self) -> None:
        """Start every child that is not running and whose pause is over."""
        now = time.monotonic()
        waiting = [child for child in self.children.values() if not child.pid and child.due <= now]
        for child in waiting:
            self._start(child)
        if waiting:
            self.publish()

    def _start(self, child: Child) -> None:
        part = child.part
        with _open_log(Path(part.log)) as log:
            try:
                process = subprocess.Popen(
                    part.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **part.env},
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"cannot start {part.argv[0]}: {error}\n".encode())
                self._ended(child, 127)
                return
        child.pid, child.started = process.pid, time.monotonic()
        process.returncode = 0  # reaped by `reap`, not by the Popen object
        say(f"{part.name} started, pid {child.pid}")

    def _ended(self, child: Child, status: int) -> None:
        now = time.monotonic()
        child.failures = 1 if child.pid and now - child.started > STEADY_SECONDS else child.failures + 1
        pause = min(0.1 * 2 ** (child.failures - 1), LONGEST_PAUSE_SECONDS)
        child.pid, child.due, child.last_exit, child.restarts = 0, now + pause, status, child.restarts + 1
        say(f"{child.part.name} ended with status {status}; starting it again in {pause:.1f} s")

    def reap(self) -> None:
        """Collect every ended process; a kept one is due to start again after a pause that grows with its failures."""
        for pid, status in _ended_processes():
            for child in self.children.values():
                if child.pid == pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(pid, signal.SIGKILL)  # what it has left behind must not meet its successor
                    self._ended(child, os.waitstatus_to_exitcode(status))
                    self.publish()

    def publish(self) -> None:
        """Write what runs to ``state.json``."""
        state = {
            name: {"pid": child.pid, "failures": child.failures, "restarts": child.restarts, "exit": child.last_exit}
            for name, child in self.children.items()
        }
        draft = self.run / "state.json.new"
        draft.write_text(json.dumps(state))
        draft.replace(self.run / "state.json")

    def stop(self) -> None:
        """Stop the children, the highest tier first, and then whatever else has gathered below this process."""
        for tier in sorted({child.part.tier for child in self.children.values()}, reverse=True):
            running = {c.pid: c.part for c in self.children.values() if c.pid and c.part.tier == tier}
            for pid, part in running.items():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, part.stop_signal)
            began = time.monotonic()
            while running:
                for pid, _ in _ended_processes():
                    running.pop(pid, None)
                for pid, part in running.items():
                    if time.monotonic() - began > part.grace_seconds:
                        with contextlib.suppress(ProcessLookupError):
                            os.killpg(pid, signal.SIGKILL)
                time.sleep(0.02)
        while left := _child_processes():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
            list(_ended_processes())
        (self.run / "state.json").unlink(missing_ok=True)
        say("everything is stopped")


def say(sentence: str) -> None:
    """One line in the keeper's log."""
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), sentence, flush=True)


def _open_log(path: Path) -> FileIO:
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))
    return path.open("ab", buffering=0)


def _ended_processes() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        yield pid, status


def _child_processes() -> list[int]:
    me = str(os.getpid())
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The command name, in parentheses, may hold anything; state and parent follow its last parenthesis.
                fields = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                if fields[1] == me:
                    found.append(int(entry.name))
    return found


if __name__ == "__main__":
    Keeper(Path(sys.argv[1])).keep(control=0)
