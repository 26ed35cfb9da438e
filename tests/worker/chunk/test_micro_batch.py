"""Items that arrive within the delay are one batch, and draining does not wait."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from worker.chunk.micro_batch import MicroBatch


class Recorder:
    """Callback that records its batches, and returns from them only when ``released``."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.released, self.entered = threading.Event(), threading.Event()

    def __call__(self, numbers: Sequence[int]) -> None:
        self.batches.append(list(numbers))
        self.entered.set()
        assert self.released.wait(10)


def test_items_that_arrive_during_a_call_are_one_batch() -> None:
    recorder = Recorder()
    micro_batch = MicroBatch(recorder, max_delay=0)
    micro_batch.add(0)
    assert recorder.entered.wait(10)
    for number in (1, 2, 3):
        micro_batch.add(number)
    recorder.released.set()
    micro_batch.close()
    assert recorder.batches == [[0], [1, 2, 3]]


def test_the_first_item_waits_for_others_except_when_drained_or_closed() -> None:
    recorder = Recorder()
    recorder.released.set()
    micro_batch = MicroBatch(recorder, max_delay=60)
    began = monotonic()
    for numbers in ([1, 2], [3]):
        for number in numbers:
            micro_batch.add(number)
        micro_batch.drain()
    assert recorder.batches == [[1, 2], [3]]
    micro_batch.add(4)
    micro_batch.close()
    assert recorder.batches[2:] == [[4]]
    assert monotonic() - began < 30


def test_items_of_many_threads_are_processed_once() -> None:
    recorder = Recorder()
    recorder.released.set()
    micro_batch = MicroBatch(recorder, max_delay=0.001)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(micro_batch.add, range(200)))
    micro_batch.drain()
    assert sorted(number for numbers in recorder.batches for number in numbers) == list(range(200))
    micro_batch.close()
