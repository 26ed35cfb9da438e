"""A process beside this one, for what must go on while it works: for a process that forks, and so must not thread.

Whatever lock a thread holds in the instant of a fork stays locked in the child for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SECOND = 1.0


@contextmanager
def companion(name: str, work: Callable[[Iterator[None]], None]) -> Iterator[None]:
    """Fork a process that does ``work`` for as long as the block runs and this process lives.

    It outlasts the signals that ask this one to leave: a worker that is told to leave is at work until it has left.

    Args:
        name: of the process.
        work: given an iterator that yields every second, until this process has gone.
    """
    parent = os.getpid()

    def seconds() -> Iterator[None]:
        while os.getppid() == parent:
            yield
            time.sleep(_SECOND)

    def serve() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        work(seconds())

    process = multiprocessing.get_context("fork").Process(target=serve, name=name, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
