"""Images fetched and decoded by threads, ahead of the engine, and handed on in batches."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from numpy.typing import NDArray

from db import queue
from db.queue import Leased
from karyotyping.image.decode import ImageRejected, decode
from settings.failpoint import failpoint
from storage import ObjectCorrupt, ObjectMissing
from telemetry import metrics
from telemetry.traces import span, stage
from worker.chunk.completer import Outcomes, ids
from worker.chunk.in_flight import Budget
from worker.chunk.lease_renewal import Heartbeat
from worker.process.resources import Context as Working
from worker.stubborn import stubborn

log = logging.getLogger("worker")

THREADS = 4
AHEAD = 8
"""Images fetched or decoded beside those of the next batch."""
BATCH_PIXELS = 16_000_000
"""Most that go through the pipeline together."""
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image whose attempt has begun, as the pipeline wants it."""

    leased: Leased
    pixels: NDArray[Any]
    """(H, W) grey."""
    seconds: float
    """That decoding took."""
    context: Context
    """Of logs and traces, in which the rest of the work on the image is to be done."""


class Intake:
    """Takes images in. Every image that it begins it either hands on or brings to its end."""

    def __init__(self, context: Working, heart: Heartbeat, budget: Budget, outcomes: Outcomes) -> None:
        self._context = context
        self._heart = heart
        self._budget = budget
        self._outcomes = outcomes
        self._get = stubborn(context.store.get)
        self.batch_images = 1
        """Most images in a batch."""

    def begin(self, leases: Sequence[Leased], *, shared: bool) -> list[Leased]:
        """Count an attempt of each image; those whose lease is not lost.

        It is committed before anything that could bring the process down, so that a deadly image runs out of attempts.
        ``shared`` says whether several are in hand meanwhile.
        """
        if not leases:
            return []
        held = self._context.transact(lambda session: queue.begin_all(session, leases, shared=shared))
        for leased in leases:
            if leased.analysis_id not in held:
                metrics.LEASES_LOST.labels("begin").inc()
                log.warning("lease lost", extra=ids(leased))
                self._outcomes.drop(leased)
        return [leased for leased in leases if leased.analysis_id in held]

    def prepare(self, leased: Leased) -> Prepared | None:
        """The decoded image, whose attempt has begun; None if its stay here has ended already.

        Raises:
            StoreUnavailable: the object store stayed away.
        """
        if not self._heart.holds(leased):
            self._budget.give(leased)
            return None
        with span("image", **ids(leased)):
            failpoint("begun", leased.file_name)
            return self._fetched(leased)

    def _fetched(self, leased: Leased) -> Prepared | None:
        try:
            with stage("fetch"):
                data = self._get(leased.object_key)
        except ObjectMissing as problem:
            self._outcomes.failed(leased, "object_missing", str(problem))
            return None
        except ObjectCorrupt as problem:
            self._outcomes.failed(leased, "object_corrupt", str(problem))
            return None
        failpoint("fetched", leased.file_name)
        return self._decoded(leased, data)

    def _decoded(self, leased: Leased, data: bytes) -> Prepared | None:
        began = perf_counter()
        try:
            with stage("decode"):
                photograph = decode(data, self._context.limits)
        except ImageRejected as problem:
            self._outcomes.failed(leased, problem.reason, problem.sentence)
            return None
        failpoint("decoded", leased.file_name)
        self._heart.progress()
        return Prepared(leased, photograph.pixels, perf_counter() - began, copy_context())

    def batches(
        self, leases: Sequence[Leased], should_stop: Callable[[], bool]
    ) -> Generator[list[Prepared], None, None]:
        """The images of ``leases``, which have begun, in order, as many at a time as are ready, of one pipeline, and
        within bounds.

        Images that were taken in and not handed on are given back when the generator is closed.

        Raises:
            StoreUnavailable: the object store stayed away.
        """
        waiting, coming = deque(leases), deque[Future[Prepared | None]]()
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")

        def order() -> None:
            while (
                waiting
                and len(coming) < AHEAD + self.batch_images
                and not should_stop()
                and self._budget.take(waiting[0])
            ):
                coming.append(threads.submit(self.prepare, waiting.popleft()))

        ready: deque[Prepared] = deque()
        try:
            while (waiting and not should_stop()) or coming or ready:
                order()
                while coming and (coming[0].done() or not ready):
                    with stage("wait"):
                        prepared = coming.popleft().result()
                    if prepared:
                        ready.append(prepared)
                    if len(ready) >= self.batch_images:
                        break
                if batch := _fitting(ready, self.batch_images):
                    order()
                    yield batch
                elif waiting:
                    self._budget.wait(_PATIENCE)
        finally:
            threads.shutdown(cancel_futures=True)
            left = [future.result() for future in coming if not future.cancelled() and not future.exception()]
            for prepared in (*ready, *filter(None, left)):
                self._outcomes.given_back(prepared.leased)


def _fitting(ready: deque[Prepared], most: int) -> list[Prepared]:
    """Take the first images that may go through the pipeline together."""
    batch: list[Prepared] = []
    pixels = 0
    while ready and len(batch) < most:
        first = ready[0]
        pixels += first.pixels.size
        if batch and (pixels > BATCH_PIXELS or first.leased.pipeline_id != batch[0].leased.pipeline_id):
            break
        batch.append(ready.popleft())
    return batch
