"""Validation of engines on the inputs that the networks receive while images are karyotyped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from karyotyping.arrays import Pixels
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Pipeline, PipelineDocument
from models import registry
from models.engine import Engine, load_engine
from models.parity import Arrays, Parity, Recorder, compare
from models.providers import Placement

EXACT = Placement(threads=1, exact=True)
"""Placement of the reference: the exported graph without optimisation, on the CPU."""


class _RecordingPipeline(Pipeline):
    """A pipeline on the exact engine that records the inputs of its networks."""

    def __init__(self, document: PipelineDocument, engine: str = "cpu") -> None:
        super().__init__(document, engine)
        self.recorders: dict[str, Recorder] = {}

    def _load(self, name: str) -> Engine:
        exact = load_engine(registry.by_digest(self.document["models"][name]).path, "cpu", EXACT)
        return self.recorders.setdefault(name, Recorder(exact))


def record_inputs(images: Iterable[Pixels]) -> dict[str, list[Arrays]]:
    """Return the input batches of every network, by its name, while ``images`` are karyotyped."""
    pipeline = _RecordingPipeline.default("cpu")
    for pixels in images:
        try:
            pipeline.analyse(pixels)
        except AnalysisError:
            continue  # the router's inputs are recorded
    return {name: recorder.batches for name, recorder in pipeline.recorders.items() if recorder.batches}


def compare_engines(
    inputs: Mapping[str, Sequence[Arrays]], engines: Sequence[str], placement: Placement | None = None
) -> Iterator[Parity]:
    """Yield the parity of every output of every network on each of ``engines``.

    Args:
        inputs: input batches by name of the network, from ``record_inputs``.
        engines: ``tensorrt``, ``cuda`` or ``cpu``.
        placement: placement of the engines under test.

    Raises:
        models.errors.EngineUnavailable: an engine cannot run here.
    """
    for name, batches in inputs.items():
        path = registry.resolve(name).path
        exact = load_engine(path, "cpu", EXACT)
        reference = [exact.infer(batch) for batch in batches]
        for engine in engines:
            yield from compare(name, engine, batches, reference, load_engine(path, engine, placement))
