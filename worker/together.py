"""Calls that come at the same time, made as one: fewer round trips and commits."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Makes one call of all that have come up while the last one was being made.

    Nobody waits for company: a call that comes alone is made alone. If a call of several fails, each is made again by
    itself, so that the one to blame spoils nothing for the others.

    Args:
        work: answers any number of questions, in their order.
    """

    def __init__(self, work: Callable[[Sequence[T]], Sequence[R]]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._waiting: deque[tuple[T, Future[R]]] = deque()
        self._busy = False

    def __call__(self, question: T) -> R:
        """The answer to ``question``; raises what ``work`` raises."""
        answer: Future[R] = Future()
        with self._lock:
            self._waiting.append((question, answer))
            leads, self._busy = not self._busy, True
        if leads:
            self._lead()
        return answer.result()

    def _lead(self) -> None:
        while True:
            with self._lock:
                batch = list(self._waiting)
                self._waiting.clear()
                if not batch:
                    self._busy = False
                    return
            self._answer(batch)

    def _answer(self, batch: Sequence[tuple[T, Future[R]]]) -> None:
        try:
            answers = self._work([question for question, _ in batch])
        except Exception as problem:
            if len(batch) == 1:
                batch[0][1].set_exception(problem)
                return
            for one in batch:
                self._answer([one])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)
