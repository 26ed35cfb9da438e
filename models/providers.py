"""Setup of ONNX Runtime's execution providers: libraries, options, installation."""

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

from models.errors import EngineUnavailable
from models.runtime import ort

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""ONNX Runtime's provider by kind of engine, fastest first: the order of ``auto``."""

_INSTALL_GPU = (
    "install the extra `gpu` (`pip install 'karyoflow[gpu]'`) and an NVIDIA driver for CUDA 13; where the extra `cpu` "
    "is installed, run `pip uninstall onnxruntime` first, as both extras own the same files"
)
INSTALL = {
    "tensorrt": f"{_INSTALL_GPU}; or choose `cuda` or `cpu`",
    "cuda": f"{_INSTALL_GPU}; or choose `cpu`",
    "cpu": "reinstall onnxruntime (`pip install --force-reinstall onnxruntime`)",
}
"""Remedy by kind of engine, for error messages."""

_MAX_PROCESSES = 4  # worker processes without a GPU; each takes up to 0.5 GB (docs/performance.md)
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_* of the CUDA driver API


Shape = tuple[int | None, ...]
"""Shape of one item of a batch; None for a side of any length."""
Chain = list[tuple[str, dict[str, str]]]
"""Execution providers with their options, as ONNX Runtime takes them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Minimum, optimal and maximum input shapes of a TensorRT engine.

    Larger batches run in slices.
    """

    min_batch: int = 1  # items
    optimal_batch: int = 64
    max_batch: int = 256
    image_batches: tuple[int, int, int] = (1, 4, 16)
    """Minimum, optimal and maximum batch of images whose sides differ between batches."""
    image_sides: tuple[int, int, int] = (32, 256, 384)
    """Minimum, optimal and maximum side of such images, pixels."""

    def batches(self, shapes: Iterable[Shape]) -> tuple[int, int, int]:
        """Return the minimum, optimal and maximum batch for inputs of these item shapes."""
        has_open_side = any(side is None for shape in shapes for side in shape)
        return self.image_batches if has_open_side else (self.min_batch, self.optimal_batch, self.max_batch)

    def shapes(self, shape: Shape) -> list[tuple[int, ...]]:
        """Return the minimum, optimal and maximum batch shapes of an input, given its item shape.

        >>> Profile().shapes((1, None, None))
        [(1, 1, 32, 32), (4, 1, 256, 256), (16, 1, 384, 384)]
        """
        sized = zip(self.batches([shape]), self.image_sides, strict=True)
        return [(batch, *(image_side if side is None else side for side in shape)) for batch, image_side in sized]


@dataclass(frozen=True, slots=True)
class Placement:
    """Device, threads, batch sizes and cache folder of an engine."""

    device: int = 0
    """Index of the GPU."""
    threads: int | None = None
    """CPU threads of one inference; None for all usable cores."""
    profile: Profile = field(default_factory=Profile)
    cache: Path | None = None
    """Folder of TensorRT's engines and timings; None for ``$XDG_CACHE_HOME/karyoflow/engines``."""

    max_cpu_values: int = 2**17
    """Input values of one call on the CPU, at least one item: larger calls cost memory and gain no speed
    (docs/performance.md)."""
    exact: bool = False
    """Run the graph as exported, without optimisation: the reference of other engines. CPU only."""

    @property
    def cpu_threads(self) -> int:
        """CPU threads of one inference."""
        return self.threads or usable_cores()

    @property
    def cache_folder(self) -> Path:
        """Folder of TensorRT's engines and timings."""
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        return self.cache or Path(base).expanduser() / "karyoflow" / "engines"


def usable_cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of CPU cores of this process.

    It is the CPU affinity, limited by the cgroup quota and OMP_NUM_THREADS. A container with a quota of 2 CPUs on a
    host of 64 cores has an affinity of 64, and 64 threads would throttle each other.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    with contextlib.suppress(OSError, ValueError):  # no cgroup v2, or no quota: "max 100000"
        microseconds, period = map(int, quota.read_text().split())
        cores = min(cores, max(1, round(microseconds / period)))
    with contextlib.suppress(KeyError, ValueError):
        cores = min(cores, max(1, int(os.environ["OMP_NUM_THREADS"])))
    return cores


def default_processes() -> int:
    """Return the number of worker processes: 1 with a GPU, else one a core, at most 4.

    Two processes of one thread analyse a third more images than one of two threads, as much of the work on an image
    is outside the networks (docs/performance.md).
    """
    return 1 if PROVIDERS["cuda"] in ort.get_available_providers() else min(_MAX_PROCESSES, usable_cores())


def share_cores(processes: int) -> None:
    """Set OMP_NUM_THREADS, unless it is set, to each process's share of the cores."""
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // processes)))


def provider_chain(kind: str, device: int, tensorrt: Mapping[str, str] | None = None) -> Chain:
    """Return the providers with their options for a session of ``kind``, that of ``kind`` first.

    Args:
        kind: a key of ``PROVIDERS``.
        device: index of the GPU.
        tensorrt: options of the TensorRT provider, from ``tensorrt_options``.

    Raises:
        EngineUnavailable: a library that the provider needs, or the GPU, is missing.
    """
    _require_provider(kind)
    cpu: Chain = [(PROVIDERS["cpu"], {})]
    if kind == "cpu":
        return cpu
    gpu_architecture(device)  # raises one sentence where ONNX Runtime would print five lines on stderr
    preload_cuda()
    cuda: Chain = [(PROVIDERS["cuda"], {"device_id": str(device)}), *cpu]
    return cuda if kind == "cuda" else [(PROVIDERS["tensorrt"], dict(tensorrt or {})), *cuda]


def tensorrt_key(digest: str, profile: Mapping[str, str], device: int) -> dict[str, str]:
    """Return everything that a TensorRT engine depends on, by name.

    Args:
        digest: SHA-256 of the model file, hexadecimal.
        profile: shapes of its inputs, from ``profile_options``.
        device: index of the GPU.

    Raises:
        EngineUnavailable: ONNX Runtime's TensorRT provider, TensorRT or the GPU is missing.
    """
    _require_provider("tensorrt")
    return {
        "model": digest,
        "architecture": gpu_architecture(device),
        "tensorrt": import_tensorrt(),
        "onnxruntime": ort.__version__,
        "precision": "fp16",
        **profile,
    }


def tensorrt_options(profile: Mapping[str, str], folder: Path, device: int) -> dict[str, str]:
    """Return the options of the TensorRT provider: FP16, one profile, caches in ``folder``.

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
    """Return the input shapes as options of the TensorRT provider.

    Args:
        shapes: item shape of each input by name, without the batch dimension.
        profile: batch sizes and image sides.

    >>> profile_options({"stain": (1, 64, 64)}, Profile())["trt_profile_opt_shapes"]
    'stain:64x1x64x64'
    """
    batch_shapes = {tensor: profile.shapes(shape) for tensor, shape in sorted(shapes.items())}
    return {
        f"trt_profile_{name}_shapes": ",".join(
            f"{tensor}:{'x'.join(map(str, sized[k]))}" for tensor, sized in batch_shapes.items()
        )
        for k, name in enumerate(("min", "opt", "max"))
    }


def cache_name(key: Mapping[str, str]) -> str:
    """Return the folder name of an engine: a digest of its key."""
    return hashlib.sha256("\n".join(f"{name}={key[name]}" for name in sorted(key)).encode()).hexdigest()[:32]


def import_tensorrt() -> str:
    """Import TensorRT, which makes its libraries findable, and return its version.

    Raises:
        EngineUnavailable: TensorRT is not installed.
    """
    try:
        return str(importlib.import_module("tensorrt").__version__)
    except (ImportError, OSError) as problem:
        raise EngineUnavailable(f"TensorRT cannot be imported ({problem}): {INSTALL['tensorrt']}") from problem


def preload_cuda() -> str:
    """Load the CUDA and cuDNN libraries of the NVIDIA wheels and return ONNX Runtime's messages."""
    with contextlib.redirect_stdout(io.StringIO()) as output:
        ort.preload_dlls()
    return output.getvalue().strip()


def gpu_architecture(device: int = 0) -> str:
    """Return the compute capability of a GPU from the CUDA driver, for example ``"sm90"``.

    Raises:
        EngineUnavailable: the NVIDIA driver or the GPU is missing.
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


def _require_provider(kind: str) -> None:
    if PROVIDERS[kind] not in ort.get_available_providers():
        raise EngineUnavailable(
            f"the installed ONNX Runtime {ort.__version__} has no {PROVIDERS[kind]}: {INSTALL[kind]}"
        )
