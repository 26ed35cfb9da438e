"""Inference on ONNX Runtime with TensorRT (FP16), CUDA or CPU, without silent fallback."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from models.cache import ensure_built
from models.errors import EngineUnavailable
from models.providers import (
    INSTALL,
    PROVIDERS,
    Chain,
    Placement,
    Shape,
    cache_name,
    profile_options,
    provider_chain,
    tensorrt_key,
    tensorrt_options,
)
from models.runtime import ort

__all__ = ["Engine", "InputInvalid", "OnnxEngine", "Placement", "load_engine"]

log = logging.getLogger(__name__)

CHOICES = ("auto", *PROVIDERS)

_DTYPES: dict[str, np.dtype[Any]] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(double)": np.dtype(np.float64),
    "tensor(uint8)": np.dtype(np.uint8),
    "tensor(int32)": np.dtype(np.int32),
    "tensor(int64)": np.dtype(np.int64),
    "tensor(bool)": np.dtype(np.bool_),
}
Listener = Callable[[str, str, int, float], None]
listeners: list[Listener] = []
"""Callbacks for every call of a network: its name, kind of engine, items in the batch, seconds."""

_LOG_SEVERITY_ERROR = 3  # ONNX Runtime's scale 0..4: a provider that fails to load raises, without a line on stderr


class InputInvalid(ValueError):
    """Arrays that do not fit a model; the message names the input and its contract."""


class Engine(Protocol):
    """A loaded network: arrays by name in, arrays by name out, the first dimension is the batch."""

    @property
    def digest(self) -> str:
        """SHA-256 of the model file, hexadecimal."""
        ...

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers of the session, the one that runs the model first."""
        ...

    def largest_batch(self, values: int) -> int:
        """Return how many items of ``values`` input values each one call takes."""
        ...

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network on arrays (N, ...); raise ``InputInvalid`` for arrays that do not fit."""
        ...


@dataclass(frozen=True, slots=True)
class Tensor:
    """Contract of one input or output."""

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    """Item shape without the batch dimension; None for a side of any length."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether ``shape`` is a valid item shape."""
        return len(shape) == len(self.shape) and all(
            expected in (None, side) for expected, side in zip(self.shape, shape, strict=True)
        )


class OnnxEngine:
    """An ``Engine`` on one ONNX Runtime session, which belongs to one process.

    A process loads its engines after the fork.
    """

    def __init__(self, session: ort.InferenceSession, name: str, kind: str, digest: str, placement: Placement) -> None:
        self._session = session
        self.name, self.kind = name, kind
        self.digest = digest
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.inputs = tuple(_tensor(node, "input") for node in session.get_inputs())
        self.outputs = tuple(_tensor(node, "output") for node in session.get_outputs())
        self._placement = placement

    def largest_batch(self, values: int) -> int:
        """Return how many items of ``values`` input values one call takes, at least 1."""
        if self.kind == "cpu":
            return max(1, self._placement.max_cpu_values // values)
        return self._placement.profile.batches(tensor.shape for tensor in self.inputs)[-1]

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network on a batch of any size, including an empty one.

        Args:
            inputs: an array (N, ...) of the contracted dtype and shape for every input of the model.

        Returns:
            An array (N, ...) for every output of the model.

        Raises:
            InputInvalid: a name is missing or unknown, or a dtype, shape or batch size does not fit.
        """
        batch = self._check(inputs)
        names = [output.name for output in self.outputs]
        step = self.largest_batch(sum(math.prod(array.shape[1:]) for array in inputs.values()))
        slices = [
            self._run(names, {name: array[start : start + step] for name, array in inputs.items()})
            for start in range(0, batch, step)
        ]
        if not slices:
            return {
                output.name: np.zeros((0, *(side or 0 for side in output.shape)), output.dtype)
                for output in self.outputs
            }
        if len(slices) == 1:
            return dict(zip(names, slices[0], strict=True))
        return {name: np.concatenate([part[k] for part in slices]) for k, name in enumerate(names)}

    def _run(self, names: list[str], inputs: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
        began = time.perf_counter()
        outputs: list[NDArray[Any]] = self._session.run(names, inputs)
        seconds = time.perf_counter() - began
        for listener in listeners:
            listener(self.name, self.kind, len(outputs[0]), seconds)
        return outputs

    def _check(self, inputs: Mapping[str, NDArray[Any]]) -> int:
        expected = {tensor.name for tensor in self.inputs}
        if set(inputs) != expected:
            raise InputInvalid(f"the model takes inputs {sorted(expected)}, got {sorted(inputs)}")
        for tensor in self.inputs:
            array = inputs[tensor.name]
            if array.dtype != tensor.dtype or array.ndim == 0 or not tensor.fits(array.shape[1:]):
                contract = f"{tensor.dtype} of shape (N, {', '.join(str(side or 'any') for side in tensor.shape)})"
                raise InputInvalid(
                    f"input {tensor.name!r} must be {contract}, got {array.dtype} of shape {array.shape}"
                )
        sizes = {len(array) for array in inputs.values()}
        if len(sizes) != 1:
            raise InputInvalid(f"all inputs must have one batch size, got {sorted(sizes)}")
        return sizes.pop()


def load_engine(path: Path, choice: str = "auto", placement: Placement | None = None) -> OnnxEngine:
    """Load a model on the chosen engine.

    Args:
        path: ONNX file whose inputs and outputs have a dynamic first dimension, the batch. Other dynamic dimensions
            are sides of images.
        choice: ``tensorrt``, ``cuda`` or ``cpu`` for exactly that engine; ``auto`` for the fastest one that works,
            with a warning for each installed one that fails.
        placement: GPU, CPU threads, batch sizes and cache folder.

    Raises:
        EngineUnavailable: the engine cannot run here, or the file cannot be served.
        ValueError: ``choice`` is not one of ``CHOICES``.
    """
    if choice not in CHOICES:
        raise ValueError(f"engine must be one of {', '.join(CHOICES)}, got {choice!r}")
    try:
        model = path.read_bytes()
    except OSError as problem:
        raise EngineUnavailable(f"the model {path} cannot be read: {problem.strerror}") from problem
    placement = placement or Placement()
    if choice != "auto":
        return _open(model, path, choice, placement)
    for kind in ("tensorrt", "cuda"):
        if PROVIDERS[kind] in ort.get_available_providers():
            try:
                return _open(model, path, kind, placement)
            except EngineUnavailable as problem:
                log.warning("engine auto skips %s: %s", kind, problem)
    return _open(model, path, "cpu", placement)


def _open(model: bytes, path: Path, kind: str, placement: Placement) -> OnnxEngine:
    digest = hashlib.sha256(model).hexdigest()

    def create(chain: Chain, kind: str = kind) -> OnnxEngine:
        return OnnxEngine(_session(model, path.name, kind, chain, placement), path.stem, kind, digest, placement)

    if kind != "tensorrt":
        return create(provider_chain(kind, placement.device))
    # TensorRT's profile needs the input shapes before its session exists; a CPU session provides them.
    tensors = create(provider_chain("cpu", 0), "cpu").inputs
    profile = profile_options({tensor.name: tensor.shape for tensor in tensors}, placement.profile)
    key = tensorrt_key(digest, profile, placement.device)

    def from_cache(folder: Path) -> OnnxEngine:
        return create(provider_chain(kind, placement.device, tensorrt_options(profile, folder, placement.device)))

    def build(folder: Path) -> None:
        engine = from_cache(folder)
        for k in (0, -1):
            shapes = {tensor.name: placement.profile.shapes(tensor.shape)[k] for tensor in tensors}
            engine.infer({tensor.name: np.zeros(shapes[tensor.name], tensor.dtype) for tensor in tensors})
        if not any(folder.glob("*.engine")):
            raise EngineUnavailable(f"TensorRT left no engine of {path.name} in {folder}; choose `cuda`")

    return from_cache(ensure_built(placement.cache_folder / cache_name(key), key, build))


def _session(model: bytes, name: str, kind: str, chain: Chain, placement: Placement) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = placement.cpu_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_SEVERITY_ERROR
    if placement.exact:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several workers share a machine's cores
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    try:
        session = ort.InferenceSession(model, options, providers=chain, enable_fallback=0)
    except Exception as problem:  # the errors of ONNX Runtime have no common base class
        raise EngineUnavailable(f"{name} does not load on {kind}: {problem}") from problem
    refuse_fallback(session, kind)
    return session


def refuse_fallback(session: ort.InferenceSession, kind: str) -> None:
    """Raise if ``session`` runs on another provider than that of ``kind``.

    ONNX Runtime drops a provider whose libraries do not load, and assigns unsupported operators to the next provider,
    both without an error.

    Raises:
        EngineUnavailable: the provider of ``kind`` is not the session's first, or executes no operator.
    """
    requested, actual = PROVIDERS[kind], session.get_providers()
    if actual[0] != requested:
        raise EngineUnavailable(
            f"{requested} was asked for and did not load; ONNX Runtime offers {', '.join(actual)} instead: "
            f"{INSTALL[kind]}"
        )
    executing = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    if executing and requested not in executing:
        raise EngineUnavailable(
            f"{requested} loaded but executes no operator of the model, {', '.join(sorted(executing))} would: "
            f"export the model with operators that {kind} supports, or choose another engine"
        )


def _tensor(node: Any, role: str) -> Tensor:
    batch, *shape = node.shape or [None]
    if isinstance(batch, int) or node.type not in _DTYPES:
        raise EngineUnavailable(
            f"{role} {node.name!r} is {node.type} of shape {node.shape}; an engine serves a dynamic first dimension: "
            "export the model so"
        )
    return Tensor(node.name, _DTYPES[node.type], tuple(side if isinstance(side, int) else None for side in shape))
