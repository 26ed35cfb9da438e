"""An ordered map keeps its order, its bound and the exceptions of its function."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from time import sleep

import pytest

from concurrency import map_ahead


def test_results_are_in_the_order_of_the_items() -> None:
    def slow_first(number: int) -> int:
        sleep(0.05 if number == 0 else 0)
        return -number

    assert list(map_ahead(ThreadPoolExecutor(4), slow_first, range(9), ahead=3)) == [-number for number in range(9)]
    assert list(map_ahead(ThreadPoolExecutor(4), slow_first, [], ahead=3)) == []
    assert list(map_ahead(ThreadPoolExecutor(4), slow_first, [1], ahead=0)) == [-1]


def test_items_without_end_are_consumed_a_bounded_number_ahead() -> None:
    consumed: list[int] = []

    def items() -> Iterator[int]:
        for number in count():
            consumed.append(number)
            yield number

    results = map_ahead(ThreadPoolExecutor(2), str, items(), ahead=5)
    assert list(islice(results, 3)) == ["0", "1", "2"]
    assert len(consumed) == 3 + 5


def test_an_exception_is_raised_in_place_of_its_result_and_cancels_the_rest() -> None:
    called: list[int] = []

    def fail_at_two(number: int) -> int:
        called.append(number)
        if number == 2:
            raise ArithmeticError
        return number

    results = map_ahead(ThreadPoolExecutor(1), fail_at_two, range(100), ahead=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ArithmeticError):
        next(results)
    assert max(called) <= 5


def test_closing_the_iterator_cancels_items_that_have_not_begun() -> None:
    entered, release = threading.Event(), threading.Event()
    called: list[int] = []

    def wait_for_release(number: int) -> int:
        called.append(number)
        if number == 1:
            entered.set()
            assert release.wait(10)
        return number

    results = map_ahead(ThreadPoolExecutor(1), wait_for_release, range(9), ahead=4)
    assert next(results) == 0
    assert entered.wait(10)
    threading.Timer(0.1, release.set).start()
    results.close()
    assert called == [0, 1]
