"""Runner of one chunk, from leases to results; a crash at any of its steps loses nothing.

Threads fetch and decode images ahead of the pipeline. The pipeline analyses several images at once. Threads write the
results, if need be while the next chunk is analysed. An image that may have killed a process has the process for
itself.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from time import monotonic, perf_counter, sleep

from sqlalchemy.exc import SQLAlchemyError

from db import discarded_objects, queue
from db.queue import Leased
from karyotyping.model import AnalysisError
from models.errors import EngineUnavailable
from models.registry import ModelUnavailable
from settings.failpoint import failpoint
from storage import StorageError, StoreUnavailable
from telemetry import metrics
from telemetry.logs import get_logger
from telemetry.traces import stage
from worker.celery_app import SOFT_TIME_LIMIT
from worker.chunk.completer import Completer, log_fields
from worker.chunk.in_flight import Entry, InFlight
from worker.chunk.lease_renewal import LeaseRenewal
from worker.chunk.prefetch import DecodedImage, Prefetcher
from worker.chunk.writer import Writer
from worker.process.resources import Resources

log = get_logger("worker")

BATCH_SECONDS = 1.5  # s, target duration of a batch, which delays its images, urgent messages and SIGTERM
BATCH_IMAGES = 32  # images in a batch, at most
LONGEST_PAUSE = 30.0  # s, after a chunk that this worker could not analyse

ShouldLeave = Callable[[], bool]


class Runner:
    """Analyses chunks; one per pool process, created after the fork."""

    def __init__(self, resources: Resources) -> None:
        settings = resources.settings
        self._resources = resources
        self._in_flight = InFlight()
        self._renewal = LeaseRenewal(
            self._in_flight, self._extend, settings.lease_seconds / 3, settings.stuck_seconds, self._die
        )
        self._completer = Completer(resources.transact, self._in_flight, settings, self._remove_erased)
        self._prefetcher = Prefetcher(resources, self._in_flight, self._completer)
        self._writer = Writer(resources, self._in_flight, self._completer)
        self._setbacks = 0

    def run(self, analysis_ids: Sequence[int], should_leave: ShouldLeave) -> None:
        """Analyse the images of a chunk that are still queued.

        Args:
            analysis_ids: the chunk.
            should_leave: called before each batch; when it returns True, the rest is given back.
        """
        # No image begins after this time, so that the time limit of the task ends none.
        deadline = monotonic() + SOFT_TIME_LIMIT - self._resources.settings.stuck_seconds
        leases = self._lease(analysis_ids, lambda: should_leave() or monotonic() > deadline)
        log.info("chunk.leased", analyses=[leased.analysis_id for leased in leases], asked=len(analysis_ids))
        if not leases:
            return

        def should_stop() -> bool:
            return should_leave() or monotonic() > deadline or self._writer.problem is not None

        try:
            self._analyse_all(leases, should_stop)
            if self._writer.problem:
                raise self._writer.problem
            self._setbacks = 0
        except (ModelUnavailable, EngineUnavailable, StoreUnavailable) as problem:
            # The images are fine; this worker cannot analyse them at present.
            log.error("chunk.given_back", problem=str(problem))
            self._give_back_unwritten()
            self._pause(should_leave)
        finally:
            self._give_back_unwritten()

    def close(self) -> None:
        """Write the remaining results and stop."""
        self._writer.close()
        self._renewal.close()

    def _lease(self, analysis_ids: Sequence[int], until: ShouldLeave) -> list[Leased]:
        # A message that is dropped during an outage of the database returns much later than the database.
        resources = self._resources
        seconds = resources.settings.lease_seconds
        leases = resources.transact(
            lambda session: queue.lease(session, analysis_ids, resources.name, seconds), until=until
        )
        self._in_flight.add(leases)
        failpoint("leased")
        return leases

    def _analyse_all(self, leases: Sequence[Leased], should_stop: Callable[[], bool]) -> None:
        self._resources.pipeline(leases[0].pipeline_id)  # before any attempt begins: it may be unavailable
        begun = self._prefetcher.begin([leased for leased in leases if not leased.suspect], shared=True)
        with closing(self._prefetcher.batches(begun, should_stop)) as batches:
            for batch in batches:
                if should_stop():
                    break
                self._analyse(batch)
        for leased in leases:
            if leased.suspect and not should_stop():
                self._writer.drain()
                self._analyse_exclusively(leased)
                self._writer.drain()

    def _analyse_exclusively(self, suspect: Leased) -> None:
        for leased in self._prefetcher.begin([suspect], shared=False):
            self._in_flight.reserve_exclusively(leased)
            if image := self._prefetcher.fetch(leased):
                self._analyse([image])

    def _analyse(self, batch: Sequence[DecodedImage]) -> None:
        """End the analyses of a batch, or pass them to the writer."""
        pipeline = self._resources.pipeline(batch[0].leased.pipeline_id)
        began = perf_counter()
        try:
            with stage("analyse"):
                answers = pipeline.analyse_batch([image.pixels for image in batch])
        except Exception as problem:
            if len(batch) > 1:  # analysed one by one, only the image at fault fails
                for image in batch:
                    self._analyse([image])
                return
            leased = batch[0].leased
            log.exception("analysis.unexpected_error", **log_fields(leased))
            self._completer.give_back(leased, "unexpected_error", f"{type(problem).__name__}: {problem}")
            return
        seconds = (perf_counter() - began) / len(batch)
        self._prefetcher.batch_images = max(1, min(int(BATCH_SECONDS / seconds), BATCH_IMAGES))
        for image, answer in zip(batch, answers, strict=True):
            if isinstance(answer, AnalysisError):
                self._completer.fail(image.leased, answer.reason, answer.sentence)
                continue
            metrics.observe_stages(answer.seconds)
            failpoint("analysed", image.leased.file_name)
            self._writer.submit(image, answer, image.seconds + seconds)

    def _give_back_unwritten(self) -> None:
        for leased in self._in_flight.remove_unwritten():
            self._completer.give_back(leased)

    def _pause(self, should_leave: ShouldLeave) -> None:
        """Leave the messages to other workers for a while, longer after every setback."""
        self._setbacks += 1
        until = monotonic() + random.uniform(0.5, 1) * min(2**self._setbacks, LONGEST_PAUSE)
        while monotonic() < until and not should_leave():
            sleep(0.1)
        self._writer.problem = None

    def _remove_erased(self) -> None:
        """Delete the artefacts of cases that were erased while this process analysed them."""
        try:
            discarded_objects.remove(self._resources.transact, self._resources.store.delete)
        except (SQLAlchemyError, StorageError) as problem:  # the next erasure or sweep deletes them
            log.error("erasure.objects_left", problem=str(problem))

    def _extend(self, leases: Sequence[Leased]) -> set[int]:
        seconds = self._resources.settings.lease_seconds
        return self._resources.transact(lambda session: queue.extend(session, leases, seconds))

    def _die(self, entries: Sequence[Entry]) -> None:
        """Kill this process; only an image that had the process for itself is to blame."""
        seconds = self._resources.settings.stuck_seconds
        log.error("worker.stuck", seconds=seconds, images=len(entries))
        sentence = f"The analysis did not end within {seconds:g} seconds."
        try:
            for entry in entries:
                blame = ("timed_out", sentence) if entry.exclusive else ()
                self._completer.give_back(entry.leased, *blame, suspect=True)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
