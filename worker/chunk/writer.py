"""Writer: threads that draw and store the artefacts of analysed images."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from db.queue import AnalysisResult, Leased
from karyotyping.model import CellAnalysis
from karyotyping.rendering.karyogram import draw_karyogram, karyogram_svg
from karyotyping.rendering.overlay import draw_overlay
from karyotyping.rendering.png import encode_png
from karyotyping.rows import chromosome_rows, quality_row
from settings.failpoint import failpoint
from storage import StoreUnavailable
from telemetry.logs import get_logger
from telemetry.traces import stage
from worker.chunk.completer import Completer, log_fields
from worker.chunk.in_flight import InFlight, Step
from worker.chunk.prefetch import DecodedImage
from worker.process.resources import Resources
from worker.process.retries import retry_store

log = get_logger("worker")

THREADS = 2


class Writer:
    """Writes results in the order of their arrival; the ledger bounds how many images wait here."""

    def __init__(self, resources: Resources, in_flight: InFlight, completer: Completer) -> None:
        self._in_flight = in_flight
        self._completer = completer
        self._put = retry_store(resources.store.put)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="write")
        self.problem: StoreUnavailable | None = None
        """The last answer of the object store, if it was a refusal."""

    def submit(self, image: DecodedImage, cell: CellAnalysis, seconds: float) -> None:
        """Write the analysis of an image, whose computation took ``seconds``."""
        self._in_flight.advance(image.leased, Step.WRITING)
        self._threads.submit(image.context.run, self._write, image, cell, seconds)

    def drain(self) -> None:
        """Return when everything is written."""
        self._in_flight.wait_until_stored()
        self._completer.drain()

    def close(self) -> None:
        """Write what is left and stop."""
        self._threads.shutdown()
        self._completer.close()

    def _write(self, image: DecodedImage, cell: CellAnalysis, seconds: float) -> None:
        leased = image.leased
        try:
            began = perf_counter()
            artefacts = _draw(image, cell)
            seconds += perf_counter() - began  # without the time of the store, which says nothing about the image
            keys = self._store(leased, artefacts)
            result = AnalysisResult(seconds, cell.iscn, keys, chromosome_rows(cell), quality_row(cell))
            self._completer.done(leased, result)
        except StoreUnavailable as problem:
            self.problem = problem
            self._completer.give_back(leased)
        except Exception as problem:
            log.exception("analysis.unexpected_error", **log_fields(leased))
            self._completer.give_back(leased, "unexpected_error", f"{type(problem).__name__}: {problem}")

    def _store(self, leased: Leased, artefacts: Mapping[str, bytes]) -> dict[str, str]:
        """Store artefacts; return their keys by name."""
        with stage("store"):
            keys = {name: self._put(data) for name, data in artefacts.items()}
        failpoint("stored", leased.file_name)
        self.problem = None
        return keys


def _draw(image: DecodedImage, cell: CellAnalysis) -> dict[str, bytes]:
    """Return the rendered artefacts of a cell by name."""
    leased = image.leased
    title = f"{leased.accession}: {leased.file_name}"
    with stage("draw"):
        artefacts = {
            "karyogram": encode_png(draw_karyogram(cell, title)),
            "karyogram_svg": karyogram_svg(cell, title).encode(),
            "overlay": encode_png(draw_overlay(image.pixels, cell)),
        }
    failpoint("drawn", leased.file_name)
    return artefacts
