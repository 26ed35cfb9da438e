"""One chunk of images, from lease to results. The order of the steps is what makes a crash at any of them harmless."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from time import monotonic

from db import queue
from db.queue import Leased
from karyotyping.cell import AnalysisError, CellAnalysis
from karyotyping.image import ImageRejected, Limits, decode
from karyotyping.karyogram import draw_karyogram, karyogram_svg
from karyotyping.overlay import draw_overlay
from models.providers import EngineUnavailable
from models.registry import ModelUnavailable
from settings.failpoint import failpoint
from storage import ObjectCorrupt, ObjectMissing, StoreUnavailable
from telemetry import metrics
from telemetry.traces import span, stage
from worker.app import SOFT_TIME_LIMIT
from worker.context import AnalysesImages, Context
from worker.fetch import fetch_ahead, stubborn
from worker.heartbeat import Heartbeat
from worker.pictures import png
from worker.results import to_result

log = logging.getLogger("worker")

IMAGE_SECONDS = 300.0
"""An image that takes longer hangs; the process is killed, as nothing less stops native code."""
CHUNK_SECONDS = SOFT_TIME_LIMIT - IMAGE_SECONDS
"""After this no further image of the chunk is begun, so that no innocent one meets the time limit."""
UNAVAILABLE_PAUSE = 5.0


class _CannotGoOn(Exception):
    """Nothing is wrong with the image; this worker cannot work at present."""


class Runner:
    """Works off chunks.

    Args:
        context: what this process works with.
        should_leave: asked before each image; if true the rest is given back.
    """

    def __init__(self, context: Context, should_leave: Callable[[], bool]) -> None:
        self._context = context
        self._transact = context.transact
        self._should_leave = should_leave

    def run(self, ids: Sequence[int]) -> None:
        """Analyse the images of ``ids`` that are still waiting for it."""
        lease_seconds = self._context.settings.lease_seconds
        leases = self._transact(lambda session: queue.lease(session, ids, self._context.name, lease_seconds))
        failpoint("leased")
        log.info("chunk leased", extra={"analyses": [leased.analysis_id for leased in leases], "asked": len(ids)})
        if not leases:
            return
        deadline = monotonic() + CHUNK_SECONDS
        left = {leased.analysis_id: leased for leased in leases}
        heartbeat = Heartbeat(leases, self._extend, lease_seconds / 3, IMAGE_SECONDS, self._kill_stuck)
        with heartbeat, closing(fetch_ahead(self._context.store, leases)) as fetched:
            try:
                for leased, data in fetched:
                    if self._should_leave() or monotonic() > deadline:
                        break
                    if heartbeat.take(leased):
                        with span("image", **_ids(leased)):
                            self._one(leased, data)
                        heartbeat.drop(leased)
                    del left[leased.analysis_id]
            except _CannotGoOn as problem:
                log.error("giving images back", extra={"problem": str(problem), "images": len(left)})
            for leased in left.values():
                self._give_back(leased)
                heartbeat.drop(leased)

    def _one(self, leased: Leased, data: Future[bytes]) -> None:
        """One image to its end, whatever that is; raises only if the worker itself cannot go on."""
        try:
            pipeline = self._context.pipeline(leased.pipeline_id)
            with stage("wait"):
                image = data.result()
        except (ModelUnavailable, EngineUnavailable, StoreUnavailable) as problem:
            raise _CannotGoOn(str(problem)) from problem
        except ObjectMissing as problem:
            self._fail(leased, "object_missing", str(problem))
            return
        except ObjectCorrupt as problem:
            self._fail(leased, "object_corrupt", str(problem))
            return

        # Committed before anything that could bring the process down, so that a deadly image runs out of attempts.
        if self._transact(lambda session: queue.begin(session, leased)) is None:
            log.warning("lease lost", extra=_ids(leased))
            metrics.LEASES_LOST.labels("begin").inc()
            return
        failpoint("begun", leased.file_name)
        started = monotonic()
        try:
            self._analyse(leased, pipeline, image, started)
        except (ImageRejected, AnalysisError) as problem:
            self._fail(leased, problem.reason, problem.sentence)
        except StoreUnavailable as problem:
            raise _CannotGoOn(str(problem)) from problem
        except Exception as problem:
            sentence = f"{type(problem).__name__}: {problem}"
            log.exception("unexpected error", extra=_ids(leased))
            self._give_back(leased, "unexpected_error", sentence)

    def _analyse(self, leased: Leased, pipeline: AnalysesImages, image: bytes, started: float) -> None:
        settings = self._context.settings
        with stage("decode"):
            photograph = decode(image, Limits(settings.max_image_bytes, settings.max_image_pixels))
        with stage("analyse"):
            cell = pipeline.analyse(photograph.pixels)
        metrics.staged(cell.seconds)
        failpoint("analysed", leased.file_name)
        title = f"{leased.accession}: {leased.file_name}"
        with stage("draw"):
            drawn = {
                "karyogram": png(draw_karyogram(cell, title)),
                "karyogram_svg": karyogram_svg(cell, title).encode(),
                "overlay": png(draw_overlay(photograph.pixels, cell)),
            }
        with stage("store"):
            put = stubborn(self._context.store.put)
            artefacts = {name: put(data) for name, data in drawn.items()}
        failpoint("stored", leased.file_name)
        self._finish(leased, cell, monotonic() - started, artefacts)

    def _finish(self, leased: Leased, cell: CellAnalysis, seconds: float, artefacts: dict[str, str]) -> None:
        result = to_result(cell, seconds, artefacts)
        with stage("write"):
            written = self._transact(lambda session: queue.finish(session, leased, result))
        failpoint("finished", leased.file_name)
        if not written:
            metrics.LEASES_LOST.labels("finish").inc()
            log.warning("lease lost, result dropped", extra=_ids(leased))
            return
        metrics.IMAGES.labels("done", "").inc()
        log.info(
            "image done",
            extra={
                **_ids(leased),
                "iscn": cell.iscn,
                "chromosomes": len(cell.chromosomes),
                "seconds": round(seconds, 3),
            },
        )

    def _fail(self, leased: Leased, reason: str, sentence: str) -> None:
        if self._transact(lambda session: queue.fail(session, leased, reason, sentence)):
            metrics.IMAGES.labels("failed", reason).inc()
            log.warning("image failed", extra={**_ids(leased), "reason": reason, "sentence": sentence})

    def _give_back(self, leased: Leased, reason: str | None = None, sentence: str | None = None) -> None:
        limit = self._context.settings.max_attempts
        self._transact(
            lambda session: queue.release(session, leased, reason=reason, sentence=sentence, max_attempts=limit)
        )
        metrics.IMAGES.labels("given_back", reason or "").inc()
        log.info("image given back", extra={**_ids(leased), "reason": reason})

    def _extend(self, leases: Sequence[Leased]) -> set[int]:
        return self._transact(lambda session: queue.extend(session, leases, self._context.settings.lease_seconds))

    def _kill_stuck(self, leased: Leased) -> None:
        sentence = f"The analysis did not end within {IMAGE_SECONDS:.0f} seconds."
        log.error("image hangs, killing this process", extra=_ids(leased))
        try:
            self._give_back(leased, "timed_out", sentence)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)


def _ids(leased: Leased) -> dict[str, object]:
    return {
        "analysis": leased.analysis_id,
        "image": leased.image_id,
        "pipeline": leased.pipeline_id,
        "attempt": leased.attempts + 1,
        "file": leased.file_name,
    }
