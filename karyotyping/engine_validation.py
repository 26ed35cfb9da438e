"""Engines judged by what the networks are really shown while images are karyotyped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from karyotyping.arrays import Pixels
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Pipeline
from models import registry
from models.engine import Engine, load_engine
from models.parity import Arrays, Parity, Recorder, compare
from models.providers import Placement

EXACT = Placement(threads=1, exact=True)


class _Watched(Pipeline):
    """A pipeline on the exact engine, whose networks remember what they were asked."""

    def __init__(self, document: Mapping[str, Any], engine: str = "cpu") -> None:
        super().__init__(document, engine)
        self.recorders: dict[str, Recorder] = {}

    def _load(self, name: str) -> Engine:
        exact = load_engine(registry.by_digest(self.document["models"][name]).path, "cpu", EXACT)
        return self.recorders.setdefault(name, Recorder(exact))


def record_inputs(images: Iterable[Pixels]) -> dict[str, list[Arrays]]:
    """What every network that is shipped is asked while ``images`` are karyotyped, in batches, by its name."""
    pipeline = _Watched.default("cpu")
    for pixels in images:
        try:
            pipeline.analyse(pixels)
        except AnalysisError:
            continue  # the router has seen it
    return {name: recorder.batches for name, recorder in pipeline.recorders.items() if recorder.batches}


def compare_engines(
    seen: Mapping[str, Sequence[Arrays]], engines: Sequence[str], placement: Placement | None = None
) -> Iterator[Parity]:
    """Every output of every network on each of ``engines``.

    Raises:
        models.errors.EngineUnavailable: an engine does not work here.
    """
    for name, batches in seen.items():
        path = registry.resolve(name).path
        exact = load_engine(path, "cpu", EXACT)
        reference = [exact.infer(batch) for batch in batches]
        for engine in engines:
            yield from compare(name, engine, batches, reference, load_engine(path, engine, placement))
