"""Things that come one by one, worked on together: one round trip and one commit for many."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")


class Together(Generic[T]):
    """Hands what comes within a moment to one call, in a thread of its own. Safe to share between threads.

    Args:
        work: is given any number of things, in the order of their coming; raises nothing.
        patience: seconds that the first of them waits for company.
    """

    def __init__(self, work: Callable[[Sequence[T]], None], patience: float) -> None:
        self._work = work
        self._patience = patience
        self._waiting: deque[T] = deque()
        self._hurry = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="together")

    def add(self, thing: T) -> None:
        """Have ``thing`` worked on soon."""
        self._waiting.append(thing)
        self._thread.submit(self._next)

    def drain(self) -> None:
        """Return when all that was added has been worked on."""
        self._hurry.set()
        self._thread.submit(lambda: None).result()
        self._hurry.clear()

    def close(self) -> None:
        """Work on what is left and stop."""
        self._hurry.set()
        self._thread.shutdown()

    def _next(self) -> None:
        if self._waiting:  # or it went with those before it
            self._hurry.wait(self._patience)
            self._work([self._waiting.popleft() for _ in range(len(self._waiting))])
