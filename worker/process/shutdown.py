"""One flag that says "leave now", shared by a worker's main process and the processes that it forks."""

from __future__ import annotations

import mmap
import signal
from types import FrameType, TracebackType
from typing import Self


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
    """While entered, SIGTERM is only noted, so that a pool process can finish the image in hand.

    Celery stops its pool processes through the main one, but a service manager may well signal all of them at once, and
    their own way to take SIGTERM is to drop everything. It is set anew for every chunk, as the pool sets its own after
    its processes have started.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
