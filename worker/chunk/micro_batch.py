"""Micro-batching: collect items for up to ``max_delay`` seconds, then process them at once."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class MicroBatch(Generic[T]):
    """Batches of items, processed by one thread. Safe to share between threads.

    Args:
        process: receives the items of a batch in the order of their arrival; raises nothing.
        max_delay: seconds that the first item of a batch waits for others.
    """

    def __init__(self, process: Callable[[Sequence[T]], None], max_delay: float) -> None:
        self._process = process
        self._max_delay = max_delay
        self._waiting: deque[T] = deque()
        self._flush = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="micro-batch")

    def add(self, item: T) -> None:
        """Process ``item`` in the next batch."""
        self._waiting.append(item)
        self._thread.submit(self._next_batch)

    def drain(self) -> None:
        """Return when every added item has been processed; no batch waits for more items meanwhile."""
        self._flush.set()
        self._thread.submit(lambda: None).result()
        self._flush.clear()

    def close(self) -> None:
        """Process the remaining items and stop."""
        self._flush.set()
        self._thread.shutdown()

    def _next_batch(self) -> None:
        if self._waiting:  # empty when an earlier batch took the item along
            self._flush.wait(self._max_delay)
            self._process([self._waiting.popleft() for _ in range(len(self._waiting))])
