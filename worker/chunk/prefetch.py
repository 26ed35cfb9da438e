"""Prefetch: threads that fetch and decode images ahead of the pipeline, in batches."""

from __future__ import annotations

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
from telemetry.logs import get_logger
from telemetry.traces import span, stage
from worker.chunk.completer import Completer, log_fields
from worker.chunk.in_flight import InFlight, Step
from worker.process.resources import Resources
from worker.process.retries import retry_store

log = get_logger("worker")

THREADS = 4
IMAGES_AHEAD = 8  # images fetched or decoded in addition to the next batch
BATCH_PIXELS = 16_000_000  # pixels that go through the pipeline together
ROOM_POLL_SECONDS = 1.0  # s, longest wait for a change of the ledger


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Image whose attempt has begun, ready for the pipeline."""

    leased: Leased
    pixels: NDArray[Any]
    """(H, W) grey."""
    seconds: float
    """Duration of the decoding."""
    context: Context
    """Fields of log lines and traces, for the rest of the work on the image."""


class Prefetcher:
    """Turns leases into batches of decoded images, and ends or gives back every other image."""

    def __init__(self, resources: Resources, in_flight: InFlight, completer: Completer) -> None:
        self._resources = resources
        self._in_flight = in_flight
        self._completer = completer
        self._get = retry_store(resources.store.get)
        self.batch_images = 1
        """Most images in a batch."""

    def begin(self, leases: Sequence[Leased], *, shared: bool) -> list[Leased]:
        """Count an attempt of each image.

        The count is committed before anything that could kill the process, so that a deadly image runs out of attempts.

        Args:
            leases: the images.
            shared: whether several of them are in the process at a time.

        Returns:
            Those whose leases are still held.
        """
        if not leases:
            return []
        held = self._resources.transact(lambda session: queue.begin_all(session, leases, shared=shared))
        for leased in leases:
            if leased.analysis_id not in held:
                metrics.LEASES_LOST.labels("begin").inc()
                log.warning("lease.lost", noticed="begin", **log_fields(leased))
                self._in_flight.remove(leased)
        return [leased for leased in leases if leased.analysis_id in held]

    def fetch(self, leased: Leased) -> DecodedImage | None:
        """Fetch and decode an image whose attempt has begun.

        Returns:
            The image; None if its analysis has ended here.

        Raises:
            StoreUnavailable: the object store stayed away.
        """
        if not self._in_flight.is_valid(leased):
            self._in_flight.remove(leased)
            return None
        with span("image", **log_fields(leased)):
            failpoint("begun", leased.file_name)
            data = self._read(leased)
            return None if data is None else self._decode(leased, data)

    def _read(self, leased: Leased) -> bytes | None:
        try:
            with stage("fetch"):
                data: bytes = self._get(leased.object_key)
        except ObjectMissing as problem:
            self._completer.fail(leased, "object_missing", str(problem))
            return None
        except ObjectCorrupt as problem:
            self._completer.fail(leased, "object_corrupt", str(problem))
            return None
        failpoint("fetched", leased.file_name)
        return data

    def _decode(self, leased: Leased, data: bytes) -> DecodedImage | None:
        began = perf_counter()
        try:
            with stage("decode"):
                image = decode(data, self._resources.limits, leased.channel, leased.plane)
        except ImageRejected as problem:
            self._completer.fail(leased, problem.reason, problem.sentence)
            return None
        failpoint("decoded", leased.file_name)
        self._in_flight.advance(leased, Step.DECODED)
        return DecodedImage(leased, image.pixels, perf_counter() - began, copy_context())

    def batches(
        self, leases: Sequence[Leased], should_stop: Callable[[], bool]
    ) -> Generator[list[DecodedImage], None, None]:
        """Yield batches of decoded images, in order, each of one pipeline and within the bounds.

        Closing the generator gives back the decoded images that were not yielded.

        Args:
            leases: the images.
            should_stop: ends the fetching of further images when it returns True.

        Raises:
            StoreUnavailable: the object store stayed away.
        """
        waiting, fetching = deque(leases), deque[Future[DecodedImage | None]]()
        threads = ThreadPoolExecutor(THREADS, thread_name_prefix="prefetch")

        def fetch_ahead() -> None:
            while (
                waiting
                and len(fetching) < IMAGES_AHEAD + self.batch_images
                and not should_stop()
                and self._in_flight.reserve(waiting[0])
            ):
                fetching.append(threads.submit(self.fetch, waiting.popleft()))

        ready: deque[DecodedImage] = deque()
        try:
            while (waiting and not should_stop()) or fetching or ready:
                fetch_ahead()
                while fetching and (fetching[0].done() or not ready):
                    with stage("wait"):
                        image = fetching.popleft().result()
                    if image:
                        ready.append(image)
                    if len(ready) >= self.batch_images:
                        break
                if batch := _take_batch(ready, self.batch_images):
                    fetch_ahead()
                    yield batch
                elif waiting:
                    self._in_flight.wait_for_room(ROOM_POLL_SECONDS)
        finally:
            threads.shutdown(cancel_futures=True)
            fetched = [future.result() for future in fetching if not future.cancelled() and not future.exception()]
            for image in (*ready, *filter(None, fetched)):
                self._completer.give_back(image.leased)


def _take_batch(ready: deque[DecodedImage], most: int) -> list[DecodedImage]:
    """Remove the first images that may go through the pipeline together."""
    batch: list[DecodedImage] = []
    pixels = 0
    while ready and len(batch) < most:
        first = ready[0]
        pixels += first.pixels.size
        if batch and (pixels > BATCH_PIXELS or first.leased.pipeline_id != batch[0].leased.pipeline_id):
            break
        batch.append(ready.popleft())
    return batch
