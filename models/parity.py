"""Does an engine compute what its network means? Its outputs beside those of the exported graph, in FP32 on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.engine import Engine

Arrays = dict[str, NDArray[Any]]

TOLERANCES = {"cpu": 1e-4, "cuda": 5e-3, "tensorrt": 2e-2}
"""Largest deviation of each engine, as a share of the range that the output has over the samples: rounding of sums
(CPU), sums of TF32's ten-bit mantissas (CUDA), FP16 throughout (TensorRT)."""
RANKING = frozenset({"scores", "probabilities"})
"""Outputs whose largest column is the answer."""
SAME_ANSWER = 0.995
"""Least share of samples whose answer is the same one."""


@dataclass(frozen=True, slots=True)
class Parity:
    """One output of one network on one engine."""

    network: str
    engine: str
    output: str
    samples: int
    deviation: float
    """Largest, as a share of the output's range."""
    tolerance: float
    same_answer: float | None
    """Share of samples whose answer is the same; None for outputs that rank nothing."""

    @property
    def passed(self) -> bool:
        """Whether the engine may be used. NaN passes nothing."""
        return self.deviation <= self.tolerance and (self.same_answer is None or self.same_answer >= SAME_ANSWER)


class Recorder:
    """An ``Engine`` that remembers what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._calls: list[Arrays] = []
        self.digest, self.providers, self.largest_batch = engine.digest, engine.providers, engine.largest_batch

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """As the engine."""
        self._calls.append({name: array.copy() for name, array in inputs.items()})
        return self._engine.infer(inputs)

    @property
    def batches(self) -> list[Arrays]:
        """All inputs so far, one batch for each shape that they had."""
        alike: dict[tuple[tuple[int, ...], ...], list[Arrays]] = {}
        for call in self._calls:
            alike.setdefault(tuple(array.shape[1:] for array in call.values()), []).append(call)
        return [{name: np.concatenate([call[name] for call in calls]) for name in calls[0]} for calls in alike.values()]


def compare(
    network: str, engine: str, batches: Sequence[Arrays], reference: Sequence[Arrays], candidate: Engine
) -> list[Parity]:
    """Every output of ``candidate`` on ``batches`` beside ``reference``.

    Args:
        network: its name.
        engine: kind of the candidate, a key of ``TOLERANCES``.
        batches: of arrays (N, ...), N > 0.
        reference: what the exact engine says of each.
        candidate: the engine that is judged.
    """
    answers = [candidate.infer(batch) for batch in batches]
    both = {name: (gather_rows(reference, name), gather_rows(answers, name)) for name in reference[0]}
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
        for name, values in both.items()
    ]


def gather_rows(batches: Sequence[Arrays], name: str) -> NDArray[Any]:
    """Rows (N, k) of an output of several batches; a plain row of values where it is made of maps of any shape."""
    parts = [batch[name] for batch in batches]
    return np.concatenate(parts if parts[0].ndim == 2 else [part.ravel() for part in parts])


def deviation(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Largest difference as a share of the range of ``wanted``; NaN if anything is not finite."""
    if not np.isfinite(found).all():
        return float("nan")
    furthest = float(np.abs(wanted.astype(np.float64) - found).max())
    return furthest / (float(np.ptp(wanted)) or 1.0)


def same_answer(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Share of rows (N, k) whose largest column is the same."""
    return float(np.mean(wanted.argmax(axis=1) == found.argmax(axis=1)))
