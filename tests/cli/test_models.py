"""``karyo models build`` and ``verify``, as an operator runs them on a new host."""

from __future__ import annotations

import ctypes.util
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from models import parity
from models.registry import available
from models.runtime import ort
from training.simulation import simulate

HAS_GPU = "CUDAExecutionProvider" in ort.get_available_providers() and ctypes.util.find_library("cuda") is not None


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["models", *arguments])
    return result.exit_code, result.stdout


@pytest.fixture
def small_image(tmp_path: Path) -> Path:
    """Image of six chromosomes, of which two touch."""
    cell = simulate({1: 2, 8: 2, 21: 2}, seed=2, touching=2, nuclei=0, debris=0, shape=(200, 260))
    Image.fromarray(cell.pixels).save(tmp_path / "cell.png")
    return tmp_path / "cell.png"


def test_cpu_passes_on_simulated_metaphases_and_fails_without_tolerance(
    monkeypatch: pytest.MonkeyPatch, small_image: Path
) -> None:
    code, text = run("verify", "--engine", "cpu", "--json")
    verdict = json.loads(text)
    assert (code, verdict["passed"]) == (0, True)
    assert {output["network"] for output in verdict["outputs"]} == set(available())
    assert all(output["samples"] >= 4 for output in verdict["outputs"])  # tiles are few, chromosomes many
    assert any(output["deviation"] > 0 for output in verdict["outputs"])  # the reference runs another graph
    assert run("verify", str(small_image), "--engine", "cpu")[0] == 0
    monkeypatch.setitem(parity.TOLERANCES, "cpu", -1.0)
    code, text = run("verify", str(small_image), "--engine", "cpu")
    assert code == 1
    assert "FAIL" in text


@pytest.mark.skipif(HAS_GPU, reason="about hosts without a GPU")
def test_unavailable_engine_fails_and_names_the_extra_to_install(small_image: Path) -> None:
    code, text = run("verify", str(small_image), "--engine", "cuda", "--json")
    assert code == 1
    assert re.search("install the extra `gpu`|no NVIDIA driver here", json.loads(text)["unavailable"]["cuda"])


def test_images_without_inputs_are_an_error(tmp_path: Path) -> None:
    assert run("verify", str(tmp_path))[0] == 1
    assert run("verify", "--engine", "auto")[0] == 2


def test_every_engine_is_built() -> None:
    code, text = run("build", "--engine", "cpu", "--json")
    assert code == 0
    assert [(row["network"], row["engine"]) for row in json.loads(text)] == [(name, "cpu") for name in available()]


@pytest.mark.real_data
def test_cpu_passes_on_real_metaphases(test_data: Path) -> None:
    code, text = run("verify", str(test_data / "adir" / "images"), "--engine", "cpu", "--limit", "2", "--json")
    assert code == 0, text


@pytest.mark.gpu
@pytest.mark.skipif(not HAS_GPU, reason="needs an NVIDIA GPU and the extra `gpu`")
@pytest.mark.parametrize("engine", ["tensorrt", "cuda"])
def test_gpu_engines_pass_and_are_built_once(tmp_path: Path, engine: str) -> None:
    def manifests() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in tmp_path.rglob("manifest.json")}

    assert run("build", "--engine", engine, "--cache", str(tmp_path))[0] == 0
    built = manifests()
    assert len(built) == (len(available()) if engine == "tensorrt" else 0)
    assert run("verify", "--engine", engine, "--cache", str(tmp_path))[0] == 0
    assert manifests() == built
