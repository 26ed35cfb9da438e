"""The benchmark of 8-bit networks, on two simulated metaphase images."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the extra `train` brings onnx")
ROOT = Path(__file__).parents[2]


def test_8_bit_networks_deviate_more_than_the_cpu_engine(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.quantisation", "--limit", "2", "--items", "60"],
        env=os.environ | {"KARYO_TEST_DATA": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if "|" in line][2:]
    assert {row[0] for row in rows} >= {"router", "embedder"}
    furthest = {(row[0], row[1]): float(row[3]) for row in rows}
    for network in {row[0] for row in rows}:
        assert furthest[network, "FP32, as exported"] == 0
        assert furthest[network, "FP32, CPU engine"] < 1e-4 < furthest[network, "int8, range by percentiles"]
