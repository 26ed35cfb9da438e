"""What comes within a moment is worked on together, nothing is left behind, and nobody in a hurry waits."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from worker.chunk.micro_batch import Together


class Work:
    """Remembers what it was given; the first time it takes until it is let."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.let, self.entered = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> None:
        self.calls.append(list(numbers))
        self.entered.set()
        assert self.let.wait(10)


def test_what_comes_up_meanwhile_is_one_call() -> None:
    work = Work()
    together = Together(work, patience=0)
    together.add(0)
    assert work.entered.wait(10)
    for number in (1, 2, 3):
        together.add(number)
    work.let.set()
    together.close()
    assert work.calls == [[0], [1, 2, 3]]


def test_the_first_waits_for_company_but_not_when_somebody_is_in_a_hurry() -> None:
    work = Work()
    work.let.set()
    together = Together(work, patience=60)
    began = monotonic()
    for numbers in ([1, 2], [3]):
        for number in numbers:
            together.add(number)
        together.drain()
    assert work.calls == [[1, 2], [3]]
    together.add(4)
    together.close()
    assert work.calls[2:] == [[4]]
    assert monotonic() - began < 30


def test_what_many_threads_add_is_worked_on_once() -> None:
    work = Work()
    work.let.set()
    together = Together(work, patience=0.001)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(together.add, range(200)))
    together.drain()
    assert sorted(number for numbers in work.calls for number in numbers) == list(range(200))
    together.close()
