"""A toy report and a configuration to train on it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.simulation.chromosome import draw_chromosome

CONFIG = """
seed = 5
folds = 2
simulated_cells = 1
cycles = 2
steps = 8
batch = 12
negatives = 4
learning_rate = 1e-3
weight_decay = 0.02
averaging = 0.9
scale = 16.0
margin = 0.2
objective = "margin_softmax"
polarity = 0.3
strength = 1.0
sharpness = 1.0
box_margins = [5.9, 7.2, 4.4, 2.9]
tiles = 0
nameless = 0.4
[reports]
toy = 1.0
absent = 1.0
[labelled_images]
absent = 1.0
"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """Return a report of two cases, each of two small cells."""
    rng = np.random.default_rng(4)
    rows = ["file,class,cell,case,upright"]
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for cell in range(4):
            for number in (1, 2, 5, 9, 14, 17, 21, 24):
                patch = draw_chromosome(number, rng, angle=np.pi / 2)
                grey = np.pad(255 - np.clip(120 * patch.stain, 0, 255), 4, constant_values=255).astype(np.uint8)
                name = f"c{cell}/{number}.png"
                archive.writestr(name, cv2.imencode(".png", grey)[1].tobytes())
                rows.append(f"{name},{ {23: 'X', 24: 'Y'}.get(number, number) },c{cell},case{cell // 2},1")
        archive.writestr("index.csv", "\n".join(rows))
    return tmp_path / "toy.zip"


@pytest.fixture
def config(report: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a configuration file for the report."""
    monkeypatch.setenv("KARYO_TEST_DATA", str(report.parent))
    path = report.with_name("embedder.toml")
    path.write_text(CONFIG, "utf-8")
    return path
