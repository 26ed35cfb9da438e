"""Parameters and operations of an ONNX file, for ``benchmarks.speed.segmentation_speed``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from models.runtime import ort

COUNTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators whose multiplications and additions count; the cost of the others is small."""
WEIGHTED = COUNTED | {"BatchNormalization", "PRelu"}
"""Operators whose constants are parameters."""
_SIDE = 256  # px, of inputs with open sides


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one item of a batch."""

    parameters: int
    flops: int
    """A multiplication and an addition are two."""
    values: int
    """Number of input values; with open sides, operations are proportional to it."""


def cost(path: Path) -> Cost:
    """Count the cost of a network with float inputs, by running it once on zeros.

    ONNX Runtime runs it without optimisation; open sides are ``_SIDE`` px.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.disable_prepacking", "1")  # packed weights are not in the profile
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as scratch:
        options.profile_file_prefix = str(Path(scratch) / "profile")
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shapes = {
            node.name: (1, *(side if isinstance(side, int) else _SIDE for side in node.shape[1:]))
            for node in session.get_inputs()
        }
        session.run(None, {name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
        events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    nodes = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    return Cost(
        parameters=sum(int(node["parameter_size"]) for node in nodes if node["op_name"] in WEIGHTED) // 4,
        flops=sum(
            flops(node["op_name"], *map(_shapes, (node["input_type_shape"], node["output_type_shape"])))
            for node in nodes
        ),
        values=sum(prod(shape) for shape in shapes.values()),
    )


def flops(operator: str, inputs: Sequence[Sequence[int]], outputs: Sequence[Sequence[int]]) -> int:
    """Return the operations of one call of an operator; 0 if it does not count.

    >>> flops("Conv", [[1, 8, 32, 32], [16, 8, 3, 3]], [[1, 16, 32, 32]]) == 2 * 16 * 32 * 32 * 8 * 9
    True
    >>> flops("ConvTranspose", [[1, 8, 16, 16], [8, 4, 2, 2]], [[1, 4, 32, 32]]) == 2 * 8 * 16 * 16 * 4 * 4
    True
    >>> flops("Gemm", [[1, 100], [100, 10]], [[1, 10]]) == flops("MatMul", [[1, 100], [100, 10]], [[1, 10]]) == 2000
    True
    """
    if operator not in COUNTED:
        return 0
    if operator == "Conv":
        return 2 * prod(outputs[0]) * prod(inputs[1][1:])
    if operator == "ConvTranspose":
        return 2 * prod(inputs[0]) * prod(inputs[1][1:])
    return 2 * prod(outputs[0]) * (inputs[0][-1] if operator == "MatMul" else prod(inputs[1]) // outputs[0][-1])


def _shapes(typed: Sequence[dict[str, Any]]) -> list[list[int]]:
    return [shape for item in typed for shape in item.values()]
