"""The networks that are shipped: small, with a card, batched freely, and made of operators that TensorRT takes."""

from __future__ import annotations

import numpy as np
import pytest

from models import registry
from models.engine import load_engine

onnx = pytest.importorskip("onnx", reason="reading a graph needs the extra `train`")

# https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md
TENSORRT = frozenset(
    {
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "Div",
        "Exp",
        "Expand",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "Identity",
        "MatMul",
        "Max",
        "MaxPool",
        "Mul",
        "Pow",
        "ReduceL2",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    }
)
PARAMETERS = {"router": 100_000, "embedder": 1_140_000, "segmenter": 1_850_000}


@pytest.mark.parametrize("name", registry.available())
def test_only_operators_that_tensorrt_parses(name: str) -> None:
    graph = onnx.load(registry.resolve(name).path).graph
    assert {node.op_type for node in graph.node} <= TENSORRT


@pytest.mark.parametrize("name", registry.available())
def test_it_is_as_small_as_promised(name: str) -> None:
    graph = onnx.load(registry.resolve(name).path).graph
    assert sum(int(np.prod(part.dims)) for part in graph.initializer) <= PARAMETERS[name]


def test_the_embedders_answers_do_not_depend_on_who_else_is_in_the_batch() -> None:
    engine = load_engine(registry.resolve("embedder").path, "cpu")
    seen = np.random.default_rng(1).random((5, 1, 112, 24), dtype=np.float32)
    together = engine.infer({"appearance": seen})
    alone = [engine.infer({"appearance": seen[k : k + 1]}) for k in range(5)]
    for name, values in together.items():
        np.testing.assert_allclose(values, np.concatenate([one[name] for one in alone]), atol=1e-4)
