"""Parity: tolerances by engine, predicted classes, and recorded inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.parity import Arrays, Recorder, compare

SCORES = np.random.default_rng(0).normal(size=(400, 24)).astype(np.float32)


class FixedEngine:
    """An engine with constant outputs."""

    digest, providers = "0", ("CPUExecutionProvider",)

    def __init__(self, **outputs: NDArray[Any]) -> None:
        self._outputs = outputs

    def largest_batch(self, values: int) -> int:
        return 99

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        return dict(self._outputs)


def with_changed_answers(values: NDArray[Any]) -> NDArray[Any]:
    """Return ``values`` (N, k) with another largest column in one row of fifty."""
    changed = values.copy()
    rows = np.arange(0, len(values), 50)
    first, second = np.argsort(values[rows], axis=1)[:, :-3:-1].T
    changed[rows, first] = changed[rows, second] - 1e-4
    return changed


def all_nan(values: NDArray[Any]) -> NDArray[Any]:
    return np.full_like(values, np.nan)


@pytest.mark.parametrize(
    ("change", "engine", "passes"),
    [
        (lambda x: x + 1e-5, "cpu", True),
        (lambda x: x + 0.05, "cpu", False),
        (lambda x: x + 0.05, "tensorrt", True),
        (lambda x: x.astype(np.float16).astype(np.float32), "tensorrt", True),
        (all_nan, "tensorrt", False),
    ],
    ids=["rounding", "too far for the cpu", "within fp16", "fp16", "nan"],
)
def test_each_engine_has_its_tolerance(
    change: Callable[[NDArray[Any]], NDArray[Any]], engine: str, passes: bool
) -> None:
    (parity,) = compare("embedder", engine, [{}], [{"scores": SCORES}], FixedEngine(scores=change(SCORES)))
    assert parity.passed is passes
    assert parity.samples == 400


def test_changed_predicted_classes_fail_at_any_deviation() -> None:
    close = SCORES * 0.001
    close[:, 0] += 1000 * (np.arange(400) == 1)  # a wide range makes all deviations small
    (parity,) = compare(
        "embedder", "tensorrt", [{}], [{"scores": close}], FixedEngine(scores=with_changed_answers(close))
    )
    assert parity.deviation < parity.tolerance
    assert parity.same_answer == 0.98
    assert not parity.passed
    (parity,) = compare(
        "embedder", "tensorrt", [{}], [{"embedding": close}], FixedEngine(embedding=with_changed_answers(close))
    )
    assert parity.same_answer is None
    assert parity.passed


class Echo(FixedEngine):
    """An engine whose outputs are its inputs."""

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        return dict(inputs)


def test_batches_of_several_shapes_are_compared_together() -> None:
    high, low = np.ones((2, 3, 3, 3), np.float32), np.zeros((1, 3, 4, 4), np.float32)
    (parity,) = compare(
        "segmenter", "cpu", [{"maps": high}, {"maps": low + 0.5}], [{"maps": high}, {"maps": low}], Echo()
    )
    assert (parity.samples, parity.deviation) == (3, 0.5)


def test_a_recorder_keeps_its_inputs_and_returns_the_outputs_of_its_engine() -> None:
    recorder = Recorder(FixedEngine(scores=SCORES))
    assert recorder.batches == []
    for size, side in ((2, 4), (1, 5), (3, 4)):
        inputs = {"appearance": np.full((size, side), size, np.float32)}
        assert recorder.infer(inputs)["scores"] is SCORES
        inputs["appearance"][:] = 0  # the record is a copy
    assert [batch["appearance"][:, 0].tolist() for batch in recorder.batches] == [[2, 2, 3, 3, 3], [1]]
