"""What a process has in hand is bounded in pixels, and batches are too."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from contextvars import copy_context
from time import monotonic

import numpy as np
import pytest

from db.queue import Leased
from worker.chunk.in_flight import Budget
from worker.chunk.prefetch import BATCH_PIXELS, Prepared, _fitting


def leased(number: int, pixels: int = 1, pipeline: int = 1) -> Leased:
    return Leased(number, number, pipeline, "key", f"{number}.png", "C-1", uuid.uuid4(), 0, pixels, False)


def test_room_is_counted_in_pixels_and_in_images() -> None:
    budget = Budget(pixels=10, images=3)
    assert budget.take(leased(1, 6))
    assert not budget.take(leased(2, 5))
    assert budget.take(leased(3, 4))
    budget.give(leased(1))
    assert budget.take(leased(4, 1))
    assert budget.take(leased(5, 1))
    assert not budget.take(leased(6, 1))  # the fourth


def test_an_image_larger_than_all_room_waits_until_nothing_else_is_in_hand() -> None:
    budget = Budget(pixels=10, images=3)
    assert budget.take(leased(1, 1))
    assert not budget.take(leased(2, 11))
    budget.give(leased(1))
    budget.give(leased(1))  # what was given back twice leaves no more room than once
    assert budget.take(leased(2, 11))
    assert not budget.take(leased(3, 1))


def test_waiting_ends_when_something_leaves() -> None:
    budget = Budget(pixels=1, images=1)
    budget.take(leased(1))
    threading.Timer(0.05, budget.give, [leased(1)]).start()
    began = monotonic()
    budget.wait(20)
    assert monotonic() - began < 10
    budget.wait(20)  # nothing is in hand, so there is nothing to wait for
    assert monotonic() - began < 10


def prepared(number: int, pixels: int = 1, pipeline: int = 1) -> Prepared:
    grey = np.broadcast_to(np.uint8(0), (1, pixels))
    return Prepared(leased(number, pixels, pipeline), grey, 0.0, copy_context())


@pytest.mark.parametrize(
    ("ready", "taken"),
    [
        ([prepared(n) for n in range(9)], 4),
        ([prepared(1), prepared(2, BATCH_PIXELS)], 1),
        ([prepared(1, 2 * BATCH_PIXELS), prepared(2)], 1),
        ([prepared(1), prepared(2), prepared(3, pipeline=2)], 2),
        ([], 0),
    ],
    ids=["as many as asked for", "no more pixels", "a huge one alone", "of one pipeline", "none"],
)
def test_a_batch_keeps_its_bounds_and_the_order(ready: list[Prepared], taken: int) -> None:
    waiting = deque(ready)
    assert _fitting(waiting, 4) == ready[:taken]
    assert list(waiting) == ready[taken:]
