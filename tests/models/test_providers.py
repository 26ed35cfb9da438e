"""Options of ONNX Runtime's providers, and the key of TensorRT's cache."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import re
from pathlib import Path

import pytest

from models.errors import EngineUnavailable
from models.providers import (
    PROVIDERS,
    Placement,
    Profile,
    cache_name,
    default_processes,
    gpu_architecture,
    import_tensorrt,
    preload_cuda,
    profile_options,
    provider_chain,
    share_cores,
    tensorrt_options,
    usable_cores,
)
from models.runtime import ort

SHAPES = {"stain": (1, 64, 64), "geometry": (6,)}
HAS_DRIVER = ctypes.util.find_library("cuda") is not None
HAS_TENSORRT = importlib.util.find_spec("tensorrt") is not None


def test_tensorrt_has_fp16_one_profile_and_its_own_cache(tmp_path: Path) -> None:
    options = tensorrt_options(profile_options(SHAPES, Profile(1, 8, 32)), tmp_path / "key", device=1)
    assert options["trt_fp16_enable"] == "1"
    assert options["trt_profile_min_shapes"] == "geometry:1x6,stain:1x1x64x64"
    assert options["trt_profile_max_shapes"] == "geometry:32x6,stain:32x1x64x64"
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path / "key")


def test_images_of_variable_sides_have_their_own_batches_and_sides() -> None:
    options = profile_options({"stain": (1, None, None)}, Profile())
    shapes = [options[f"trt_profile_{size}_shapes"] for size in ("min", "opt", "max")]
    assert shapes == ["stain:1x1x32x32", "stain:4x1x256x256", "stain:16x1x384x384"]
    assert Profile().batches([(1, None, None)]) == (1, 4, 16) != Profile().batches([(1, 64, 64)])


def test_every_part_of_the_key_changes_the_cache_folder() -> None:
    base = {"model": "m", "architecture": "sm90", "tensorrt": "10.13", "precision": "fp16"}
    base |= profile_options(SHAPES, Profile())
    others = [{**base, name: "other"} for name in base] + [{**base, **profile_options(SHAPES, Profile(1, 8, 256))}]
    assert cache_name(base) == cache_name(dict(reversed(base.items())))
    assert len({cache_name(key) for key in [base, *others]}) == len(base) + 2


def test_cores_are_limited_by_the_quota_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    cores = usable_cores(tmp_path / "no cgroup")
    assert cores == len(os.sched_getaffinity(0))
    for text, expected in {"100000 100000": 1, "50000 100000": 1, "max 100000": cores, "9900000 100000": cores}.items():
        (tmp_path / "cpu.max").write_text(text)
        assert usable_cores(tmp_path / "cpu.max") == expected


def test_processes_share_the_cores_unless_omp_num_threads_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # restored after the test
    share_cores(1)
    assert usable_cores() == 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    share_cores(10_000)
    assert os.environ["OMP_NUM_THREADS"] == "1"


@pytest.mark.parametrize(("cores", "providers", "expected"), [(2, [], 2), (64, [], 4), (8, [PROVIDERS["cuda"]], 1)])
def test_one_process_with_a_gpu_else_one_per_core_up_to_four(
    monkeypatch: pytest.MonkeyPatch, cores: int, providers: list[str], expected: int
) -> None:
    monkeypatch.setattr("models.providers.usable_cores", lambda: cores)
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [*providers, PROVIDERS["cpu"]])
    assert default_processes() == expected


def test_the_cpu_provider_needs_no_libraries() -> None:
    assert provider_chain("cpu", 0) == [("CPUExecutionProvider", {})]
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        assert preload_cuda() == ""


def test_threads_follow_the_affinity_unless_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Placement(threads=3).cpu_threads == 3
    assert Placement().cpu_threads >= 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Placement().cache_folder == tmp_path / "karyoflow" / "engines"


@pytest.mark.skipif(HAS_DRIVER, reason="there is an NVIDIA driver here")
def test_a_missing_driver_raises_a_sentence() -> None:
    with pytest.raises(EngineUnavailable, match="no NVIDIA driver here"):
        gpu_architecture()


@pytest.mark.skipif(HAS_TENSORRT, reason="TensorRT is installed")
def test_a_missing_tensorrt_raises_a_sentence() -> None:
    with pytest.raises(EngineUnavailable, match=r"TensorRT cannot be imported .* install the extra `gpu`"):
        import_tensorrt()


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_DRIVER, reason="needs an NVIDIA GPU")
def test_the_driver_gives_the_architecture() -> None:
    assert re.fullmatch(r"sm\d{2,3}", gpu_architecture())
