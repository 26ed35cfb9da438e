"""Shipped networks: small, batch-independent, and made of operators that TensorRT parses."""

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
def test_the_number_of_parameters_is_limited(name: str) -> None:
    graph = onnx.load(registry.resolve(name).path).graph
    assert sum(int(np.prod(part.dims)) for part in graph.initializer) <= PARAMETERS[name]


def test_embeddings_are_independent_of_the_batch() -> None:
    engine = load_engine(registry.resolve("embedder").path, "cpu")
    canvases = np.random.default_rng(1).random((5, 1, 112, 24), dtype=np.float32)
    batched = engine.infer({"appearance": canvases})
    single = [engine.infer({"appearance": canvases[k : k + 1]}) for k in range(5)]
    for name, values in batched.items():
        np.testing.assert_allclose(values, np.concatenate([one[name] for one in single]), atol=1e-4)
