"""Entering and leaving a stack: whoever comes first starts its keeper, whoever comes later joins."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from embedded import supervisor
from embedded.errors import StackError

CLOSING_SECONDS = 40.0
"""How long a newcomer waits for an earlier run that is stopping; longer than any part's grace."""


@dataclass
class Control:
    """A hold on the keeper's pipe. The stack runs for as long as anybody has one."""

    run: Path
    pipe: int
    hold: int
    """A shared lock, by which the holders know of each other."""
    process: subprocess.Popen[bytes] | None
    """The keeper, where this process started it; ``None`` where it joined."""

    def send(self, part: supervisor.Part) -> None:
        """Have a part started; nothing happens if it already runs.

        Raises:
            StackError: the keeper is gone.
        """
        line = part.to_line()
        if len(line) > select.PIPE_BUF:  # longer writes of two processes could mix
            raise StackError(f"cannot start {part.name}: its command line is longer than {select.PIPE_BUF} bytes")
        try:
            os.write(self.pipe, line)
        except BrokenPipeError as error:
            raise StackError(f"the stack has been stopped; its log is {self.run.parent / 'logs/keeper.log'}") from error

    def leave(self) -> None:
        """Let go. If nobody else holds on and this process started the stack, it is stopped when this returns."""
        with supervisor.door(self.run):
            alone = _lock(self.hold, fcntl.LOCK_EX)
            os.close(self.pipe)
            os.close(self.hold)
        if self.process is not None:
            if alone:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(CLOSING_SECONDS)
            # Kept by the others from here on: nothing for this process to wait for.
            self.process.returncode = self.process.returncode or 0


def enter(run: Path) -> Control:
    """Join the stack in ``run`` or, if none is alive, start its keeper.

    What a crashed run has left there is swept away: a lock whose holder is dead is no lock.

    Raises:
        StackError: an earlier run is still stopping after a long wait.
    """
    deadline = time.monotonic() + CLOSING_SECONDS
    while time.monotonic() < deadline:
        with supervisor.door(run):
            control = _join(run) or _start(run)
        if control:
            return control
        time.sleep(0.1)
    raise StackError(
        f"an earlier run in {run.parent} has been stopping for {CLOSING_SECONDS:.0f} s and still is; "
        f"see {run.parent / 'logs/keeper.log'}, or set KARYO_HOME to another folder"
    )


def _join(run: Path) -> Control | None:
    try:
        pipe = os.open(run / "control", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no pipe, or nobody reads it
        return None
    return Control(run, pipe, _hold(run), None)


def _start(run: Path) -> Control | None:
    lock = _open(run / "lock")
    if not _lock(lock, fcntl.LOCK_EX):
        os.close(lock)
        return None
    for name in ("control", "state.json", "stack.json"):
        (run / name).unlink(missing_ok=True)
    os.mkfifo(run / "control", 0o600)
    reader = os.open(run / "control", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    writer = os.open(run / "control", os.O_WRONLY | os.O_CLOEXEC)
    with (run.parent / "logs" / "keeper.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervisor.__file__, str(run)],
            stdin=reader,
            stdout=log,
            stderr=log,
            pass_fds=[lock],  # the lock lives as long as the keeper, not as long as this process
            start_new_session=True,
        )
    os.close(reader)
    os.close(lock)
    return Control(run, writer, _hold(run), process)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _lock(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hold(run: Path) -> int:
    hold = _open(run / "holders")
    fcntl.flock(hold, fcntl.LOCK_SH)
    return hold
