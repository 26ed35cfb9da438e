"""Sidecar process: background work for a process that forks and so must not start threads.

A lock that a thread holds at the moment of a fork stays locked in the child for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TICK_SECONDS = 1.0  # s, between two ticks of a sidecar


@contextmanager
def run_sidecar(name: str, work: Callable[[Iterator[None]], None]) -> Iterator[None]:
    """Fork a process that runs ``work`` until the block ends or this process dies.

    The sidecar ignores SIGTERM and SIGINT, because a worker still works after it was asked to leave.

    Args:
        name: of the process.
        work: receives an iterator that yields every second while this process lives.
    """
    parent = os.getpid()

    def ticks() -> Iterator[None]:
        while os.getppid() == parent:
            yield
            time.sleep(TICK_SECONDS)

    def main() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        work(ticks())

    process = multiprocessing.get_context("fork").Process(target=main, name=name, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()
