"""Parity of engines: outputs compared with those of the exported graph in FP32 on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine

Arrays = dict[str, NDArray[Any]]

TOLERANCES = {
    "cpu": 1e-4,  # another order of summation
    "cuda": 5e-3,  # TF32: ten-bit mantissas
    "tensorrt": 2e-2,  # FP16 throughout
}
"""Largest deviation by kind of engine, as a share of the output's range over the samples."""
RANKING = frozenset({"scores", "probabilities"})
"""Outputs whose largest column is the predicted class."""
MIN_SAME_ANSWER = 0.995  # share of samples with the same predicted class, 0..1


@dataclass(frozen=True, slots=True)
class Parity:
    """Comparison of one output of one network on one engine with the reference."""

    network: str
    engine: str
    output: str
    samples: int
    deviation: float
    """Largest difference as a share of the output's range; NaN if a value is not finite."""
    tolerance: float
    same_answer: float | None
    """Share of samples with the same predicted class, 0..1; None for outputs without classes."""

    @property
    def passed(self) -> bool:
        """Whether the engine is within its tolerances; a deviation of NaN fails."""
        return self.deviation <= self.tolerance and (self.same_answer is None or self.same_answer >= MIN_SAME_ANSWER)


class Recorder:
    """An ``Engine`` that forwards its calls and keeps a copy of their inputs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls: list[Arrays] = []
        self.digest, self.providers, self.largest_batch = engine.digest, engine.providers, engine.largest_batch

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Record a copy of ``inputs`` and run the engine on them."""
        self._calls.append({name: array.copy() for name, array in inputs.items()})
        return self._engine.infer(inputs)

    @property
    def batches(self) -> list[Arrays]:
        """All recorded inputs, one batch for each item shape."""
        by_shape: dict[tuple[tuple[int, ...], ...], list[Arrays]] = {}
        for call in self._calls:
            by_shape.setdefault(tuple(array.shape[1:] for array in call.values()), []).append(call)
        return [
            {name: np.concatenate([call[name] for call in calls]) for name in calls[0]} for calls in by_shape.values()
        ]


def compare(
    network: str, engine: str, batches: Sequence[Arrays], reference: Sequence[Arrays], candidate: Engine
) -> list[Parity]:
    """Compare every output of ``candidate`` on ``batches`` with ``reference``.

    Args:
        network: its name.
        engine: kind of the candidate, a key of ``TOLERANCES``.
        batches: inputs, arrays (N, ...) with N > 0.
        reference: outputs of the exact engine for each batch.
        candidate: the engine under test.
    """
    outputs = [candidate.infer(batch) for batch in batches]
    pairs = {name: (gather_rows(reference, name), gather_rows(outputs, name)) for name in reference[0]}
    return [
        Parity(
            network=network,
            engine=engine,
            output=name,
            samples=sum(len(batch[name]) for batch in reference),
            deviation=deviation(*values),
            tolerance=TOLERANCES[engine],
            same_answer=same_answer(*values) if name in RANKING else None,
        )
        for name, values in pairs.items()
    ]


def gather_rows(batches: Sequence[Arrays], name: str) -> NDArray[Any]:
    """Return one output of several batches: rows (N, k), or all values (n,) of maps."""
    parts = [batch[name] for batch in batches]
    return np.concatenate(parts if parts[0].ndim == 2 else [part.ravel() for part in parts])


def deviation(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """Return the largest difference over the range of ``expected``; NaN for non-finite values.

    >>> deviation(np.array([0.0, 2.0]), np.array([0.0, 1.5]))
    0.25
    """
    if not np.isfinite(actual).all():
        return float("nan")
    largest = float(np.abs(expected.astype(np.float64) - actual).max())
    return largest / (float(np.ptp(expected)) or 1.0)


def same_answer(expected: NDArray[Any], actual: NDArray[Any]) -> float:
    """Return the share of rows (N, k) whose largest column is the same, 0..1."""
    return float(np.mean(expected.argmax(axis=1) == actual.argmax(axis=1)))
