"""Calls that come together are made together, and a bad one spoils nothing for the others."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from worker.together import Together


class Slow:
    """Doubles numbers, the first time only when it is let; 13 is beyond it."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.let, self.entered = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(sorted(numbers))
        self.entered.set()
        assert self.let.wait(10)
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


@pytest.mark.parametrize("bad", [False, True])
def test_what_comes_up_meanwhile_is_one_call(bad: bool) -> None:
    work = Slow()
    double = Together(work)
    numbers = [1, 13, 3] if bad else [1, 2, 3]
    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(double, 0)
        assert work.entered.wait(10)
        others = [threads.submit(double, number) for number in numbers]
        while len(double._waiting) < 3:
            threading.Event().wait(0.01)
        work.let.set()
        assert first.result() == 0
        for number, other in zip(numbers, others, strict=True):
            if number == 13:
                with pytest.raises(ValueError, match="13"):
                    other.result()
            else:
                assert other.result() == 2 * number
    assert work.calls[:2] == [[0], sorted(numbers)]
    assert len(work.calls) == (5 if bad else 2)


def test_a_call_that_comes_alone_is_made_alone() -> None:
    work = Slow()
    work.let.set()
    double = Together(work)
    assert [double(number) for number in (1, 2)] == [2, 4]
    assert work.calls == [[1], [2]]
