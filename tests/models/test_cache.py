"""Engines are built once for concurrent processes and rebuilt after damage."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models import registry
from models.cache import MANIFEST, ensure_built, is_complete
from models.errors import EngineUnavailable
from models.runtime import ort

KEY = {"model": "router", "architecture": "sm90"}
FORK = multiprocessing.get_context("fork")


def optimise(folder: Path) -> None:
    """Optimise the router's graph with ONNX Runtime on the CPU, and record the build."""
    with (folder.parent / "builds").open("a") as record:
        record.write(f"{os.getpid()}\n")
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    options.optimized_model_filepath = str(folder / "router.engine")
    ort.InferenceSession(registry.resolve("router").path, options, providers=["CPUExecutionProvider"])


def builds(root: Path) -> int:
    return len((root / "builds").read_text().splitlines())


def start(work: Callable[[], object]) -> multiprocessing.process.BaseProcess:
    process = FORK.Process(target=work)
    process.start()
    return process


def test_ten_concurrent_processes_build_once(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    gate = FORK.Event()

    def work() -> None:
        gate.wait()
        ort.InferenceSession(ensure_built(folder, KEY, optimise) / "router.engine", providers=["CPUExecutionProvider"])

    processes = [start(work) for _ in range(10)]
    gate.set()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 10
    assert builds(tmp_path) == 1


def test_another_process_builds_after_the_death_of_the_builder(tmp_path: Path) -> None:
    folder = tmp_path / "engine"

    def hang(inside: Path) -> None:
        (inside / "half.engine").write_bytes(b"half")
        time.sleep(60)

    builder = start(lambda: ensure_built(folder, KEY, hang))
    while not (folder / "half.engine").exists():
        time.sleep(0.01)
    waiting = start(lambda: ensure_built(folder, KEY, optimise))
    time.sleep(0.3)
    assert waiting.is_alive()
    assert builder.pid is not None
    os.kill(builder.pid, signal.SIGKILL)
    builder.join()
    waiting.join(60)
    assert waiting.exitcode == 0
    assert is_complete(folder, KEY)
    assert not (folder / "half.engine").exists()


def truncate(folder: Path) -> None:
    engine = folder / "router.engine"
    engine.write_bytes(engine.read_bytes()[:-1])


def add_file(folder: Path) -> None:
    (folder / "other.engine").touch()


def delete_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize("damage", [truncate, add_file, delete_manifest])
def test_a_damaged_engine_is_rebuilt(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = ensure_built(tmp_path / "engine", KEY, optimise)
    damage(folder)
    ensure_built(folder, KEY, optimise)
    assert builds(tmp_path) == 2
    assert is_complete(folder, KEY)


def test_another_key_gives_another_engine(tmp_path: Path) -> None:
    folder = ensure_built(tmp_path / "engine", KEY, optimise)
    ensure_built(folder, {**KEY, "architecture": "sm89"}, optimise)
    assert builds(tmp_path) == 2
    assert json.loads((folder / MANIFEST).read_text())["key"]["architecture"] == "sm89"


def test_a_complete_engine_is_only_read(tmp_path: Path) -> None:
    folder = ensure_built(tmp_path / "engine", KEY, optimise)
    (folder / "kernels.timing").write_bytes(b"TensorRT adds to its timings")
    Path(f"{folder}.lock").unlink(missing_ok=True)
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    ensure_built(folder, KEY, optimise)
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


def test_an_unwritable_folder_raises_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EngineUnavailable, match=r"cannot be built there .* run `karyo models build`"):
        ensure_built(tmp_path / "file" / "engine", KEY, optimise)


def test_a_failed_build_is_not_complete(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        raise EngineUnavailable("no memory left on the GPU")

    with pytest.raises(EngineUnavailable, match="no memory left"):
        ensure_built(tmp_path / "engine", KEY, fail)
    assert not is_complete(tmp_path / "engine", KEY)
