"""One chunk of images, from lease to results. The order of the steps is what makes a crash at any of them harmless.

Threads fetch and decode images ahead of the engine, the engine works on several at once, and threads write behind it
what was found, into the next chunk if need be. An image that may have killed a process goes alone.
"""

from __future__ import annotations

import logging
import os
import random
import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from time import monotonic, perf_counter, sleep

from db import queue
from db.queue import Leased
from karyotyping.model import AnalysisError
from models.errors import EngineUnavailable
from models.registry import ModelUnavailable
from settings.failpoint import failpoint
from storage import StoreUnavailable
from telemetry import metrics
from telemetry.traces import stage
from worker.celery_app import SOFT_TIME_LIMIT
from worker.chunk.completer import Outcomes, ids
from worker.chunk.in_flight import Budget
from worker.chunk.lease_renewal import Heartbeat
from worker.chunk.prefetch import Intake, Prepared
from worker.chunk.writer import Writer
from worker.process.resources import Context

log = logging.getLogger("worker")

BATCH_SECONDS = 1.5
"""How long a batch should take: images wait for their batch, urgent ones for that before, SIGTERM for both."""
BATCH_IMAGES = 32
_LONGEST_PAUSE = 30.0

ShouldLeave = Callable[[], bool]


class Runner:
    """Works off chunks; one per process, made after the fork."""

    def __init__(self, context: Context) -> None:
        settings = context.settings
        self._context = context
        self._heart = Heartbeat(self._extend, settings.lease_seconds / 3, settings.stuck_seconds, self._die)
        budget = Budget()
        self._outcomes = Outcomes(context.transact, self._heart, budget, settings)
        self._intake = Intake(context, self._heart, budget, self._outcomes)
        self._writer = Writer(context, self._outcomes)
        self._setbacks = 0
        self._alone: Leased | None = None

    def run(self, analysis_ids: Sequence[int], should_leave: ShouldLeave) -> None:
        """Analyse the images of ``analysis_ids`` that are still waiting for it.

        ``should_leave`` is asked before each batch; if it says so, the rest is given back.
        """
        # After this no image is begun, so that no innocent one meets the time limit.
        deadline = monotonic() + SOFT_TIME_LIMIT - self._context.settings.stuck_seconds
        leases = self._lease(analysis_ids, lambda: should_leave() or monotonic() > deadline)
        found = [leased.analysis_id for leased in leases]
        log.info("chunk leased", extra={"analyses": found, "asked": len(analysis_ids)})
        if not leases:
            return
        left = {leased.analysis_id: leased for leased in leases}

        def stop() -> bool:
            return should_leave() or monotonic() > deadline or self._writer.problem is not None

        try:
            self._analyse_all(leases, left, stop)
            if self._writer.problem:
                raise self._writer.problem
            self._setbacks = 0
        except (ModelUnavailable, EngineUnavailable, StoreUnavailable) as problem:
            # Nothing is wrong with the images; this worker cannot work at present.
            log.error("giving images back", extra={"problem": str(problem), "images": len(left)})
            self._give_back(left)
            self._pause(should_leave)
        finally:
            self._give_back(left)

    def close(self) -> None:
        """Write what is in hand and stop."""
        self._writer.close()
        self._heart.close()

    def _lease(self, analysis_ids: Sequence[int], until: ShouldLeave) -> list[Leased]:
        # A message that is dropped while the database is away is sent again much later than it comes back.
        context = self._context
        seconds = context.settings.lease_seconds
        leases = context.transact(
            lambda session: queue.lease(session, analysis_ids, context.name, seconds), until=until
        )
        self._heart.hold(leases)
        failpoint("leased")
        return leases

    def _analyse_all(self, leases: Sequence[Leased], left: dict[int, Leased], stop: Callable[[], bool]) -> None:
        self._context.pipeline(leases[0].pipeline_id)  # before any attempt begins: it may be unavailable
        together = self._intake.begin([leased for leased in leases if not leased.suspect], shared=True)
        with closing(self._intake.batches(together, stop)) as batches:
            for batch in batches:
                if stop():
                    break
                self._analyse(batch, left)
        for leased in leases:
            if leased.suspect and not stop():
                self._writer.drain()
                self._alone = leased
                for begun in self._intake.begin([leased], shared=False):
                    if prepared := self._intake.prepare(begun):
                        self._analyse([prepared], left)
                self._writer.drain()
                self._alone = None

    def _analyse(self, batch: Sequence[Prepared], left: dict[int, Leased]) -> None:
        """Bring the images of a batch to their end, or hand them to the writer."""
        pipeline = self._context.pipeline(batch[0].leased.pipeline_id)
        began = perf_counter()
        try:
            with stage("analyse"):
                answers = pipeline.analyse_batch([prepared.pixels for prepared in batch])
        except Exception as problem:
            if len(batch) > 1:  # one of them is to blame, and goes alone
                for prepared in batch:
                    self._analyse([prepared], left)
                return
            leased = batch[0].leased
            log.exception("unexpected error", extra=ids(leased))
            self._outcomes.given_back(leased, "unexpected_error", f"{type(problem).__name__}: {problem}")
            return
        seconds = (perf_counter() - began) / len(batch)
        self._intake.batch_images = max(1, min(int(BATCH_SECONDS / seconds), BATCH_IMAGES))
        self._heart.progress()
        for prepared, answer in zip(batch, answers, strict=True):
            leased = prepared.leased
            if isinstance(answer, AnalysisError):
                self._outcomes.failed(leased, answer.reason, answer.sentence)
                continue
            metrics.observe_stages(answer.seconds)
            failpoint("analysed", leased.file_name)
            del left[leased.analysis_id]
            self._writer.submit(prepared, answer, prepared.seconds + seconds)

    def _give_back(self, left: dict[int, Leased]) -> None:
        """Give back what has not ended, in this process or, its lease lost, in another."""
        held = [leased for leased in left.values() if self._heart.holds(leased)]
        for leased in left.values():
            self._outcomes.drop(leased)
        left.clear()
        for leased in held:
            self._outcomes.given_back(leased)

    def _pause(self, should_leave: ShouldLeave) -> None:
        """Let others have the work for a while, a longer one after every setback."""
        self._setbacks += 1
        until = monotonic() + random.uniform(0.5, 1) * min(2**self._setbacks, _LONGEST_PAUSE)
        while monotonic() < until and not should_leave():
            sleep(0.1)
        self._writer.problem = None

    def _extend(self, leases: Sequence[Leased]) -> set[int]:
        seconds = self._context.settings.lease_seconds
        return self._context.transact(lambda session: queue.extend(session, leases, seconds))

    def _die(self, leases: Sequence[Leased]) -> None:
        """End a process that hangs. An image that was alone is to blame; of several, nobody knows which."""
        seconds = self._context.settings.stuck_seconds
        log.error("no progress, killing this process", extra={"seconds": seconds, "images": len(leases)})
        sentence = f"The analysis did not end within {seconds:g} seconds."
        try:
            for leased in leases:
                blamed = ("timed_out", sentence) if leased == self._alone else ()
                self._outcomes.given_back(leased, *blamed, suspect=True)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
