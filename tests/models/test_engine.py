"""The engine on a model of two operators, and its errors."""

from __future__ import annotations

import ctypes.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models import providers, registry
from models.engine import (
    InputInvalid,
    OnnxEngine,
    Placement,
    listeners,
    load_engine,
    refuse_fallback,
)
from models.errors import EngineUnavailable
from models.runtime import ort

GPU_WHEEL = "CUDAExecutionProvider" in ort.get_available_providers()
HAS_GPU = GPU_WHEEL and ctypes.util.find_library("cuda") is not None
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="needs an NVIDIA GPU and the extra `gpu`")
needs_no_gpu = pytest.mark.skipif(HAS_GPU, reason="about hosts without a GPU")


def write_model(path: Path, batch: str | int = "batch") -> Path:
    """Write the model y = relu(a) + b, inputs (N, 3) float32."""
    onnx = pytest.importorskip("onnx", reason="the extra `train` brings onnx")
    helper, float32 = onnx.helper, onnx.TensorProto.FLOAT
    tensors = [helper.make_tensor_value_info(name, float32, [batch, 3]) for name in "aby"]
    nodes = [helper.make_node("Relu", ["a"], ["positive"]), helper.make_node("Add", ["positive", "b"], ["y"])]
    graph = helper.make_graph(nodes, "tiny", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def engine(tmp_path: Path) -> OnnxEngine:
    return load_engine(write_model(tmp_path / "tiny.onnx"), "cpu", Placement(threads=1, max_cpu_values=24))


def batch_of(size: int) -> dict[str, Any]:
    values = np.arange(3 * size, dtype=np.float32).reshape(size, 3) - 4
    return {"a": values, "b": np.ones_like(values)}


def test_a_call_on_the_cpu_is_limited_in_values_but_takes_one_item(tmp_path: Path) -> None:
    path = write_model(tmp_path / "tiny.onnx")
    batches = [
        load_engine(path, "cpu", Placement(threads=1, max_cpu_values=n)).largest_batch(6) for n in (1, 11, 12, 24)
    ]
    assert batches == [1, 1, 2, 4]


@pytest.mark.parametrize("size", [0, 1, 4, 11], ids=["empty", "one", "full", "in slices"])
def test_any_batch_size_gives_one_output_row_per_input_row(engine: OnnxEngine, size: int) -> None:
    inputs = batch_of(size)
    outputs = engine.infer(inputs)
    assert list(outputs) == ["y"]
    assert outputs["y"].dtype == np.float32
    np.testing.assert_array_equal(outputs["y"], np.maximum(inputs["a"], 0) + 1)


def test_an_engine_has_its_provider_and_digest(engine: OnnxEngine, tmp_path: Path) -> None:
    assert engine.providers == ("CPUExecutionProvider",)
    assert len(engine.digest) == 64
    assert load_engine(tmp_path / "tiny.onnx", "cpu").digest == engine.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"a": x["a"]}, r"takes inputs \['a', 'b'\], got \['a'\]"),
        (lambda x: {**x, "c": x["a"]}, "got"),
        (lambda x: {**x, "a": x["a"].astype(np.float64)}, "'a' must be float32 .* got float64"),
        (lambda x: {**x, "b": x["b"][:, :2]}, r"'b' must be float32 of shape \(N, 3\)"),
        (lambda x: {**x, "b": x["b"][:1]}, "one batch size"),
    ],
    ids=["missing", "unknown", "dtype", "shape", "batch"],
)
def test_arrays_that_do_not_fit_raise(engine: OnnxEngine, change: Any, message: str) -> None:
    with pytest.raises(InputInvalid, match=message):
        engine.infer(change(batch_of(2)))


def test_unreadable_models_raise(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be read"):
        load_engine(tmp_path / "none.onnx", "cpu")
    (tmp_path / "broken.onnx").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(EngineUnavailable, match=r"broken\.onnx does not load on cpu"):
        load_engine(tmp_path / "broken.onnx", "cpu")
    with pytest.raises(EngineUnavailable, match="dynamic first dimension"):
        load_engine(write_model(tmp_path / "fixed.onnx", batch=8), "cpu")
    with pytest.raises(ValueError, match="engine must be one of"):
        load_engine(tmp_path / "none.onnx", "gpu")


@needs_no_gpu
@pytest.mark.parametrize("choice", ["tensorrt", "cuda"])
def test_a_missing_provider_raises_with_the_installation(tmp_path: Path, choice: str) -> None:
    with pytest.raises(
        EngineUnavailable,
        match=r"has no \w+ExecutionProvider: install the extra `gpu`|no NVIDIA driver here .*: choose `cpu`",
    ):
        load_engine(write_model(tmp_path / "tiny.onnx"), choice)


@needs_no_gpu
def test_auto_selects_the_available_provider(tmp_path: Path) -> None:
    assert load_engine(write_model(tmp_path / "tiny.onnx")).providers == ("CPUExecutionProvider",)


def session_on(available: list[str], executing: set[str]) -> Any:
    """Return the reports of an ONNX Runtime session on its providers."""
    parts = [SimpleNamespace(ep_name=name) for name in executing]
    return SimpleNamespace(get_providers=lambda: available, get_provider_graph_assignment_info=lambda: parts)


def test_a_silent_fallback_raises() -> None:
    tensorrt, cuda, cpu = providers.PROVIDERS.values()
    refuse_fallback(session_on([tensorrt, cuda, cpu], {tensorrt, cpu}), "tensorrt")
    with pytest.raises(EngineUnavailable, match=f"{tensorrt} was asked for .* offers {cuda}, {cpu} instead"):
        refuse_fallback(session_on([cuda, cpu], {cuda}), "tensorrt")
    with pytest.raises(EngineUnavailable, match=f"executes no operator of the model, {cpu} would"):
        refuse_fallback(session_on([cuda, cpu], {cpu}), "cuda")


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("choice", ["tensorrt", "cuda"])
def test_gpu_engines_agree_with_the_cpu(tmp_path: Path, choice: str) -> None:
    path, inputs = write_model(tmp_path / "tiny.onnx"), batch_of(300)
    fast = load_engine(path, choice, Placement(cache=tmp_path / "cache"))
    assert fast.providers[0] == providers.PROVIDERS[choice]
    np.testing.assert_allclose(fast.infer(inputs)["y"], load_engine(path, "cpu").infer(inputs)["y"], rtol=2e-3)


def test_listeners_are_called_for_every_inference() -> None:
    calls: list[tuple[str, str, int]] = []

    def record(network: str, kind: str, items: int, seconds: float) -> None:
        assert seconds > 0
        calls.append((network, kind, items))

    router = load_engine(
        registry.resolve("router").path, "cpu", Placement(threads=1, max_cpu_values=4 * (2 * 64 * 64 + 8))
    )
    listeners.append(record)
    try:
        router.infer({t.name: np.zeros((6, *t.shape), t.dtype) for t in router.inputs})
    finally:
        listeners.remove(record)
    router.infer({t.name: np.zeros((1, *t.shape), t.dtype) for t in router.inputs})
    assert calls == [("router", "cpu", 4), ("router", "cpu", 2)]
