"""A batch holds images of one pipeline, in order, and within its bounds."""

from __future__ import annotations

from collections import deque
from contextvars import copy_context

import numpy as np
import pytest

from tests.support.leases import make_lease
from worker.chunk.prefetch import BATCH_PIXELS, DecodedImage, _take_batch


def decoded(number: int, pixels: int = 1, pipeline: int = 1) -> DecodedImage:
    grey = np.broadcast_to(np.uint8(0), (1, pixels))
    return DecodedImage(make_lease(number, pixels, pipeline), grey, 0.0, copy_context())


@pytest.mark.parametrize(
    ("ready", "taken"),
    [
        ([decoded(n) for n in range(9)], 4),
        ([decoded(1), decoded(2, BATCH_PIXELS)], 1),
        ([decoded(1, 2 * BATCH_PIXELS), decoded(2)], 1),
        ([decoded(1), decoded(2), decoded(3, pipeline=2)], 2),
        ([], 0),
    ],
    ids=["at most as many as requested", "bound on pixels", "large image alone", "one pipeline", "none"],
)
def test_a_batch_keeps_its_bounds_and_the_order(ready: list[DecodedImage], taken: int) -> None:
    waiting = deque(ready)
    assert _take_batch(waiting, 4) == ready[:taken]
    assert list(waiting) == ready[taken:]
