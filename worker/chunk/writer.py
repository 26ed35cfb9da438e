"""Results written behind the engine: pictures drawn, objects stored, rows committed, by threads."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from time import perf_counter

from db.queue import AnalysisResult, Leased
from karyotyping.model import CellAnalysis
from karyotyping.rendering.karyogram import draw_karyogram, karyogram_svg
from karyotyping.rendering.overlay import draw_overlay
from karyotyping.rendering.png import encode_png
from karyotyping.rows import chromosome_rows, quality_row
from settings.failpoint import failpoint
from storage import StoreUnavailable
from telemetry.traces import stage
from worker.chunk.completer import Outcomes, ids
from worker.chunk.prefetch import Prepared
from worker.process.resources import Context
from worker.stubborn import stubborn

log = logging.getLogger("worker")

THREADS = 2


class Writer:
    """Writes results in the order of their coming. What waits here counts as in hand, so the budget bounds it."""

    def __init__(self, context: Context, outcomes: Outcomes) -> None:
        self._outcomes = outcomes
        self._put = stubborn(context.store.put)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="write")
        self._pending: set[Future[None]] = set()
        self.problem: StoreUnavailable | None = None
        """The object store's refusal, if that was its last word."""

    def submit(self, prepared: Prepared, cell: CellAnalysis, seconds: float) -> None:
        """Write what was found in an image, on which ``seconds`` of computing were spent."""
        self._pending = {future for future in self._pending if not future.done()}
        self._pending.add(self._threads.submit(prepared.context.run, self._write, prepared, cell, seconds))

    def drain(self) -> None:
        """Return when everything is written."""
        wait(self._pending)
        self._outcomes.drain()

    def close(self) -> None:
        """Write what is left and stop."""
        self._threads.shutdown()
        self._outcomes.close()

    def _write(self, prepared: Prepared, cell: CellAnalysis, seconds: float) -> None:
        leased = prepared.leased
        try:
            began = perf_counter()
            pictures = _drawn(prepared, cell)
            seconds += perf_counter() - began  # a store that is slow, or away, makes no image expensive
            artefacts = self._stored(leased, pictures)
            result = AnalysisResult(seconds, cell.iscn, artefacts, chromosome_rows(cell), quality_row(cell))
            self._outcomes.done(leased, result)
        except StoreUnavailable as problem:
            self.problem = problem
            self._outcomes.given_back(leased)
        except Exception as problem:
            log.exception("unexpected error", extra=ids(leased))
            self._outcomes.given_back(leased, "unexpected_error", f"{type(problem).__name__}: {problem}")

    def _stored(self, leased: Leased, pictures: Mapping[str, bytes]) -> dict[str, str]:
        """The keys of pictures by name, once they lie in the store."""
        with stage("store"):
            artefacts = {name: self._put(data) for name, data in pictures.items()}
        failpoint("stored", leased.file_name)
        self.problem = None
        return artefacts


def _drawn(prepared: Prepared, cell: CellAnalysis) -> dict[str, bytes]:
    """The pictures of a cell by name."""
    leased = prepared.leased
    title = f"{leased.accession}: {leased.file_name}"
    with stage("draw"):
        pictures = {
            "karyogram": encode_png(draw_karyogram(cell, title)),
            "karyogram_svg": karyogram_svg(cell, title).encode(),
            "overlay": encode_png(draw_overlay(prepared.pixels, cell)),
        }
    failpoint("drawn", leased.file_name)
    return pictures
