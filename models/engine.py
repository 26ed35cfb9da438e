"""One engine class on ONNX Runtime: TensorRT (FP16), CUDA or CPU, and never another than the one it says."""

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
from models.providers import (
    INSTALL,
    PROVIDERS,
    Chain,
    EngineUnavailable,
    Placement,
    Profile,
    Shape,
    cache_name,
    profile_options,
    provider_chain,
    tensorrt_key,
    tensorrt_options,
)
from models.runtime import ort

__all__ = ["Engine", "EngineUnavailable", "InputInvalid", "OnnxEngine", "Placement", "Profile", "load_engine"]

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
listeners: list[Callable[[str, str, int, float], None]] = []
"""Told of every call of an engine: name of the network, kind of engine, items in the batch, seconds."""

_ERRORS_ONLY = 3
"""ONNX Runtime's log severity: a provider that fails to load is our own error, not a line on stderr."""


class InputInvalid(ValueError):
    """Arrays given to an engine do not fit its model; the message names the input and what it wants."""


class Engine(Protocol):
    """A network that runs: arrays by name in, arrays by name out, the first dimension being the batch."""

    @property
    def digest(self) -> str:
        """SHA-256 of the model file, hexadecimal."""
        ...

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers that the session really has, the one that does the work first."""
        ...

    def largest_batch(self, values: int) -> int:
        """Items of so many input values that one call of the network takes at most; larger batches are served in
        slices of it."""
        ...

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network on one batch; raises ``InputInvalid`` for arrays that do not fit."""
        ...


@dataclass(frozen=True, slots=True)
class Tensor:
    """Contract of one input or output."""

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    """Without the batch dimension; None where any side will do."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an item of this shape is one."""
        return len(shape) == len(self.shape) and all(
            wanted in (None, side) for wanted, side in zip(self.shape, shape, strict=True)
        )


class OnnxEngine:
    """An ``Engine`` on one ONNX Runtime session. Not shared between processes: load it after the fork."""

    def __init__(self, session: ort.InferenceSession, name: str, kind: str, digest: str, placement: Placement) -> None:
        self._session = session
        self.name, self.kind = name, kind
        self.digest = digest
        self.providers: tuple[str, ...] = tuple(session.get_providers())
        self.inputs = tuple(_tensor(node, "input") for node in session.get_inputs())
        self.outputs = tuple(_tensor(node, "output") for node in session.get_outputs())
        self._placement = placement

    def largest_batch(self, values: int) -> int:
        """Items of so many input values that one call takes at most."""
        if self.kind == "cpu":
            return max(1, self._placement.cpu_values // values)
        return self._placement.profile.batches(tensor.shape for tensor in self.inputs)[-1]

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the network on a batch of any size, an empty one included.

        Args:
            inputs: for every input of the model an array (N, ...) of its dtype and shape.

        Raises:
            InputInvalid: a name is missing or unknown, or a dtype, shape or batch size does not fit.
        """
        batch = self._check(inputs)
        names = [output.name for output in self.outputs]
        most = self.largest_batch(sum(math.prod(array.shape[1:]) for array in inputs.values()))
        slices = [
            self._run(names, {name: array[start : start + most] for name, array in inputs.items()})
            for start in range(0, batch, most)
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
        wanted = {tensor.name for tensor in self.inputs}
        if set(inputs) != wanted:
            raise InputInvalid(f"the model takes inputs {sorted(wanted)}, got {sorted(inputs)}")
        for tensor in self.inputs:
            array = inputs[tensor.name]
            if array.dtype != tensor.dtype or array.ndim == 0 or not tensor.fits(array.shape[1:]):
                wants = f"{tensor.dtype} of shape (N, {', '.join(str(side or 'any') for side in tensor.shape)})"
                raise InputInvalid(f"input {tensor.name!r} must be {wants}, got {array.dtype} of shape {array.shape}")
        sizes = {len(array) for array in inputs.values()}
        if len(sizes) != 1:
            raise InputInvalid(f"all inputs must have one batch size, got {sorted(sizes)}")
        return sizes.pop()


def load_engine(path: Path, choice: str = "auto", placement: Placement | None = None) -> OnnxEngine:
    """Load a model on the engine asked for.

    Args:
        path: ONNX file whose inputs and outputs have a dynamic first dimension, the batch. Other dynamic ones are
            sides of pictures.
        choice: ``tensorrt``, ``cuda`` or ``cpu``: that one or an error; ``auto``: the fastest that works here,
            with a warning for each one that is installed and does not.
        placement: GPU, CPU threads, batch sizes and cache folder.

    Raises:
        EngineUnavailable: that engine cannot run here, or the file is no such model.
        ValueError: ``choice`` is none of the four.
    """
    if choice not in CHOICES:
        raise ValueError(f"engine must be one of {', '.join(CHOICES)}, got {choice!r}")
    try:
        model = path.read_bytes()
    except OSError as problem:
        raise EngineUnavailable(f"the model {path} cannot be read: {problem.strerror}") from problem
    place = placement or Placement()
    if choice != "auto":
        return _open(model, path, choice, place)
    for kind in ("tensorrt", "cuda"):
        if PROVIDERS[kind] in ort.get_available_providers():
            try:
                return _open(model, path, kind, place)
            except EngineUnavailable as problem:
                log.warning("engine auto passes over %s: %s", kind, problem)
    return _open(model, path, "cpu", place)


def _open(model: bytes, path: Path, kind: str, placement: Placement) -> OnnxEngine:
    digest = hashlib.sha256(model).hexdigest()

    def opened(chain: Chain, kind: str = kind) -> OnnxEngine:
        return OnnxEngine(_session(model, path.name, kind, chain, placement), path.stem, kind, digest, placement)

    if kind != "tensorrt":
        return opened(provider_chain(kind, placement.device))
    # Its profiles want the shapes before the session that could tell them exists.
    tensors = opened(provider_chain("cpu", 0), "cpu").inputs
    profile = profile_options({tensor.name: tensor.shape for tensor in tensors}, placement.profile)
    key = tensorrt_key(digest, profile, placement.device)

    def from_cache(folder: Path) -> OnnxEngine:
        return opened(provider_chain(kind, placement.device, tensorrt_options(profile, folder, placement.device)))

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
    options.log_severity_level = _ERRORS_ONLY
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
    """Compare what ``session`` really runs on with what was asked for.

    ONNX Runtime drops a provider whose libraries do not load, and gives a provider none of the operators it does not
    know, both without an error.

    Raises:
        EngineUnavailable: the provider of ``kind`` is not the session's first, or executes no operator.
    """
    wanted, actual = PROVIDERS[kind], session.get_providers()
    if actual[0] != wanted:
        raise EngineUnavailable(
            f"{wanted} was asked for and did not load; ONNX Runtime offers {', '.join(actual)} instead: {INSTALL[kind]}"
        )
    working = {part.ep_name for part in session.get_provider_graph_assignment_info()}
    if working and wanted not in working:
        raise EngineUnavailable(
            f"{wanted} loaded but executes no operator of the model, {', '.join(sorted(working))} would: "
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
