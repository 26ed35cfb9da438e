"""How each ONNX Runtime execution provider is set up: its libraries, its options and what it needs installed."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.runtime import ort

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's name of each engine choice, fastest first: the order in which ``auto`` tries them."""

INSTALL = {
    "tensorrt": "install the extra `gpu` (`pip install 'karyoflow[gpu]'`) after `pip uninstall onnxruntime`, whose "
    "files it replaces, and use an NVIDIA driver for CUDA 13; or choose `cuda` or `cpu`",
    "cuda": "install the extra `gpu` (`pip install 'karyoflow[gpu]'`) after `pip uninstall onnxruntime`, whose "
    "files it replaces, and use an NVIDIA driver for CUDA 13; or choose `cpu`",
    "cpu": "reinstall onnxruntime (`pip install --force-reinstall onnxruntime`)",
}

_MOST_PROCESSES = 4
"""Each takes up to half a gigabyte of memory (docs/performance.md)."""
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""``CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR`` and ``_MINOR`` of the CUDA driver API."""


Shape = tuple[int | None, ...]
"""Of one item of a batch; None where any side will do."""
Chain = list[tuple[str, dict[str, str]]]
"""Execution providers with their options, as ONNX Runtime takes them."""


class EngineUnavailable(Exception):
    """The engine asked for cannot serve the model here; the message says why and what to install."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The smallest, usual and largest shapes that an engine is built for; larger batches are served in slices."""

    smallest: int = 1
    usual: int = 64
    largest: int = 256
    """Items of a batch."""
    pictures: tuple[int, int, int] = (1, 4, 16)
    """The same where an item is a picture whose sides differ from batch to batch."""
    sides: tuple[int, int, int] = (32, 256, 384)
    """Sides of such pictures, pixels."""

    def batches(self, shapes: Iterable[Shape]) -> tuple[int, int, int]:
        """Items of a batch whose inputs have these shapes, without the batch dimension."""
        pictures = any(side is None for shape in shapes for side in shape)
        return self.pictures if pictures else (self.smallest, self.usual, self.largest)

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Of an input of this shape without the batch dimension the smallest, usual and largest one with it.

        >>> Profile().shapes((1, None, None))
        [(1, 1, 32, 32), (4, 1, 256, 256), (16, 1, 384, 384)]
        """
        sized = zip(self.batches([shape]), self.sides, strict=True)
        return [(batch, *(open_side if side is None else side for side in shape)) for batch, open_side in sized]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how an engine runs."""

    device: int = 0
    """Index of the GPU."""
    threads: int | None = None
    """CPU threads of one inference; None for as many as this process may use."""
    profile: Profile = field(default_factory=Profile)
    cache: Path | None = None
    """Folder for TensorRT's engines and timings; None for ``$XDG_CACHE_HOME/karyoflow/engines``."""

    cpu_values: int = 2**17
    """Input values of one call on the CPU, or one item's: more makes nothing faster there and takes memory
    (docs/performance.md)."""
    exact: bool = False
    """Run the graph as it was exported: slower, and what other engines are compared with. CPU only."""

    @property
    def cpu_threads(self) -> int:
        """The number of CPU threads: as many as this process may use, unless it is given."""
        return self.threads or usable_cores()

    @property
    def cache_folder(self) -> Path:
        """The folder for TensorRT's engines and timings."""
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return self.cache or Path(base).expanduser() / "karyoflow" / "engines"


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Cores that this process may use: its CPU affinity, but no more than its container's quota or OMP_NUM_THREADS.

    A container with two CPUs on a host of 64 has an affinity of 64; as many threads would throttle one another.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2 here, or no quota: "max 100000"
        microseconds, period = map(int, quota.read_text().split())
        cores = min(cores, max(1, round(microseconds / period)))
    with contextlib.suppress(KeyError, ValueError):
        cores = min(cores, max(1, int(os.environ["OMP_NUM_THREADS"])))
    return cores


def usual_processes() -> int:
    """Worker processes that suit this machine: one for a GPU; without one, one for each core, up to what memory bears.

    Two processes of one thread analyse a third more images than one of two threads: much of an image is not the
    network (docs/performance.md).
    """
    return 1 if PROVIDERS["cuda"] in ort.get_available_providers() else min(_MOST_PROCESSES, usable_cores())


def share_cores(processes: int) -> None:
    """Let each of ``processes`` that this one forks use its share of the cores, unless OMP_NUM_THREADS is set."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))


def provider_chain(kind: str, device: int, tensorrt: Mapping[str, str] | None = None) -> Chain:
    """Providers and their options for a session of ``kind``, the one asked for first.

    Args:
        kind: a key of ``PROVIDERS``.
        device: index of the GPU.
        tensorrt: options of the TensorRT provider; see ``tensorrt_options``.

    Raises:
        EngineUnavailable: a library that the provider needs, or the GPU, is missing.
    """
    if PROVIDERS[kind] not in ort.get_available_providers():
        raise EngineUnavailable(
            f"the installed ONNX Runtime {ort.__version__} has no {PROVIDERS[kind]}: {INSTALL[kind]}"
        )
    cpu: Chain = [(PROVIDERS["cpu"], {})]
    if kind == "cpu":
        return cpu
    gpu_architecture(device)  # says in a sentence what ONNX Runtime would say in five lines on stderr
    preload_cuda()
    cuda: Chain = [(PROVIDERS["cuda"], {"device_id": str(device)}), *cpu]
    return cuda if kind == "cuda" else [(PROVIDERS["tensorrt"], dict(tensorrt or {})), *cuda]


def tensorrt_key(digest: str, profile: Mapping[str, str], device: int) -> dict[str, str]:
    """All that a TensorRT engine depends on, by name.

    Raises:
        EngineUnavailable: the installed ONNX Runtime has no TensorRT, or TensorRT or the GPU is missing.
    """
    if PROVIDERS["tensorrt"] not in ort.get_available_providers():
        raise EngineUnavailable(
            f"the installed ONNX Runtime {ort.__version__} has no {PROVIDERS['tensorrt']}: {INSTALL['tensorrt']}"
        )
    return {
        "model": digest,
        "architecture": gpu_architecture(device),
        "tensorrt": import_tensorrt(),
        "onnxruntime": ort.__version__,
        "precision": "fp16",
        **profile,
    }


def tensorrt_options(profile: Mapping[str, str], folder: Path, device: int) -> dict[str, str]:
    """Options of the TensorRT provider: FP16, one optimisation profile, engine and timing cache in ``folder``.

    Source: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
    """
    return {
        "device_id": str(device),
        "trt_fp16_enable": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        **profile,
    }


def profile_options(shapes: Mapping[str, Shape], profile: Profile) -> dict[str, str]:
    """Shapes of every input, given without the batch dimension, as the TensorRT provider wants them.

    >>> profile_options({"stain": (1, 64, 64)}, Profile())["trt_profile_opt_shapes"]
    'stain:64x1x64x64'
    """
    every = {tensor: profile.shapes(shape) for tensor, shape in sorted(shapes.items())}
    return {
        f"trt_profile_{name}_shapes": ",".join(
            f"{tensor}:{'x'.join(map(str, sized[k]))}" for tensor, sized in every.items()
        )
        for k, name in enumerate(("min", "opt", "max"))
    }


def cache_name(key: Mapping[str, str]) -> str:
    """Name of the folder that holds one engine: nothing that changes the engine shares a folder."""
    return hashlib.sha256("\n".join(f"{name}={key[name]}" for name in sorted(key)).encode()).hexdigest()[:32]


def import_tensorrt() -> str:
    """Make TensorRT's libraries findable, which only its import does, and give its version.

    Raises:
        EngineUnavailable: TensorRT is not installed.
    """
    try:
        return str(importlib.import_module("tensorrt").__version__)
    except (ImportError, OSError) as problem:
        raise EngineUnavailable(f"TensorRT cannot be imported ({problem}): {INSTALL['tensorrt']}") from problem


def preload_cuda() -> str:
    """Load the CUDA and cuDNN libraries of the NVIDIA wheels, and give what ONNX Runtime says about it."""
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ort.preload_dlls()
    return said.getvalue().strip()


def gpu_architecture(device: int = 0) -> str:
    """Compute capability of a GPU such as ``"sm90"``, asked of the CUDA driver.

    Raises:
        EngineUnavailable: no NVIDIA driver, or no such GPU.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as problem:
        raise EngineUnavailable("no NVIDIA driver here (libcuda.so.1 is missing): choose `cpu`") from problem
    handle, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGet(ctypes.byref(handle), device)
        or driver.cuDeviceGetAttribute(ctypes.byref(major), _CAPABILITY_MAJOR, handle)
        or driver.cuDeviceGetAttribute(ctypes.byref(minor), _CAPABILITY_MINOR, handle)
    )
    if failed:
        raise EngineUnavailable(f"the NVIDIA driver offers no GPU {device} (CUDA error {failed}): choose `cpu`")
    return f"sm{major.value}{minor.value}"
