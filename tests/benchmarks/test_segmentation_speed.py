"""The benchmark of segmentation speed, with a program that answers like Mask R-CNN's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.speed.onnx_cost import cost
from models.registry import resolve
from training.simulation import simulate

ROOT = Path(__file__).parents[2]


def test_operations_and_parameters_equal_those_of_the_layers() -> None:
    layers = [(16, 32, 2 * 25), (32, 32, 16 * 9), (64, 16, 32 * 9), (80, 8, 64 * 9)]  # channels, side, inputs of each
    linear = [(8, 32), (112, 64), (64, 5)]
    found = cost(resolve("router").path)
    assert found.flops == 2 * sum(c * side**2 * n for c, side, n in layers) + 2 * sum(a * b for a, b in linear)
    weights = sum(c * n for c, _, n in layers) + sum(a * b + b for a, b in linear)
    assert weights < found.parameters < 1.02 * weights  # those of the normalisations


def test_both_programs_get_every_image(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(2):
        cell = simulate({21: 2, 1: 2}, seed=seed, contrast="fluorescence", nuclei=0, debris=0, shape=(180, 220))
        Image.fromarray(cell.pixels).save(tmp_path / "images" / f"{seed}.png")
    other = tmp_path / "python"
    other.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        "for line in sys.stdin:\n"
        "    print('[44e6, 4e11, 1500]' if line.strip() == 'cost' else '[1e6, 1e6, 46]', flush=True)\n"
    )
    other.chmod(0o755)
    command = [sys.executable, "-m", "benchmarks.speed.segmentation_speed", "--torchvision", other, "--count", "2"]
    done = subprocess.run(
        [*command, "--images", tmp_path / "images"],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    first, *_, ours, theirs = done.stdout.splitlines()
    assert first.startswith("2 images of 220x180, ")
    name, seconds, _, processor, _, _, parameters, operations = (cell.strip() for cell in ours.strip("| ").split(" | "))
    assert name == "karyoflow"
    assert 0 < float(seconds.split()[0]) < 100
    assert 0 < float(processor.split()[0]) < 100
    assert float(parameters) > 0.07
    assert float(operations) > 0
    assert theirs.endswith("| 1500 | 44.00 | 400.0 |")
    ratio = float(theirs.split(" | ")[2].split()[0])
    assert np.isclose(ratio, 1e6 / float(seconds.split()[0]), rtol=0.5)
