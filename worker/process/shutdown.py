"""Graceful shutdown: a stop flag that processes share, and a deferred SIGTERM."""

from __future__ import annotations

import mmap
import signal
from types import FrameType, TracebackType
from typing import Self


class StopFlag:
    """Byte of shared memory, inherited through fork and safe to set in a signal handler."""

    def __init__(self) -> None:
        self._byte = mmap.mmap(-1, 1)

    def set(self) -> None:
        """Ask every process that shares the flag to finish its batch and leave."""
        self._byte[0] = 1

    def is_set(self) -> bool:
        """Return whether the process should leave."""
        return self._byte[0] == 1


class GracefulTerm:
    """Context in which SIGTERM is only recorded, so that a pool process finishes its batch.

    Celery stops its pool processes through the main process, but a service manager may signal all of them at once. The
    default handler of a pool process drops everything. The context is entered for every message, because the pool
    installs that handler after its processes have started.
    """

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGTERM, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGTERM, self._before)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
