"""One flag that says "leave now", shared by a worker's main process and the processes that it forks."""

from __future__ import annotations

import mmap
import signal
import sys
from types import FrameType


class StopFlag:
    """A byte of anonymous shared memory: inherited through fork, and safe to set from a signal handler."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Ask every process that shares the flag to finish the image in hand and leave."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Whether it is time to leave."""
        return self._byte[0] == 1


class GracefulTerm:
    """SIGTERM in a pool process: between tasks it exits, inside a task it lets the image in hand be finished.

    Celery stops its processes through the main one, but a service manager may well signal all of them at once.
    """

    def __init__(self) -> None:
        self.busy = False
        self.requested = False

    def install(self) -> None:
        """Take over SIGTERM in this process."""
        signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        if not self.busy:
            sys.exit(0)
