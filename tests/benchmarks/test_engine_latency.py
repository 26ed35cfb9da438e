"""The benchmark of engines, on the smallest network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]


def test_every_batch_size_has_a_row_and_the_plot_a_line(tmp_path: Path) -> None:
    plot = tmp_path / "engines.png"
    options = ["--networks", "router", "--engines", "cpu", "--batches", "1", "64", "--rounds", "3", "--threads", "1"]
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed.engine_latency", *options, "--plot", plot],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in run.stdout.splitlines() if "|" in line][2:]
    assert [row[:3] for row in rows] == [["router", "cpu", "1"], ["router", "cpu", "64"]]
    smallest, largest = ([float(cell) for cell in row[3:]] for row in rows)
    assert largest[0] > smallest[0]
    for fastest, median, throughput, processor, memory in (smallest, largest):
        assert median >= fastest > 0
        assert throughput > 0 < processor
        assert 30 < memory < 2000
    pixels = np.asarray(Image.open(plot).convert("RGB"))
    assert (pixels == (38, 98, 166)).all(axis=2).sum() > 50
