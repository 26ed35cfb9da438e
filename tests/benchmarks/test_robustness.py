"""The benchmark of changed images: its changes, and a run on three images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.accuracy.image_changes import CHANGES, Grey8
from benchmarks.accuracy.robustness import Comparison, share_of_classes, shares, write_overlay
from karyotyping.model import AnalysisError
from tests.support.benchmark import run_benchmark
from training.simulation import simulate
from training.simulation.appearance import Contrast

SHAPE = (200, 260)
DEEP = {"8-bit-in-16": 1, "10-bit": 4, "12-bit": 16, "16-bit": 257}
"""Grey levels of a 16-bit file over those of 8 bits, by kind."""
OTHER_SHAPES = {
    "letterbox": (248, 260),
    "white-margin": (300, 390),
    "sampling-x0.5": (100, 130),
    "sampling-x0.7": (140, 182),
    "sampling-x1.5": (300, 390),
    "sampling-x2": (400, 520),
    "sampling-x4": (800, 1040),
    "rotation-90": (260, 200),
    "rotation-17": (268, 308),
}


@pytest.fixture(scope="module", params=["bright_field", "fluorescence"])
def grey(request: pytest.FixtureRequest) -> Grey8:
    contrast: Contrast = request.param
    return simulate({1: 2, 8: 2, 21: 2}, seed=2, contrast=contrast, nuclei=0, debris=0, shape=SHAPE).pixels


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_has_the_shape_and_type_of_its_kind(grey: Grey8, kind: str) -> None:
    before = grey.copy()
    changed = CHANGES[kind](grey, np.random.default_rng(1))
    assert np.array_equal(grey, before)
    assert changed.dtype == (np.uint16 if kind in {*DEEP, "hot-pixels-12-bit"} else np.uint8)
    assert changed.flags.c_contiguous
    if kind == "crop":
        assert min(changed.shape) > 60
        assert changed.size < grey.size
    else:
        assert changed.shape == OTHER_SHAPES.get(kind, SHAPE)
    if kind in DEEP:
        assert np.array_equal(changed, DEEP[kind] * grey.astype(np.uint16))
    elif changed.shape == SHAPE:
        assert not np.array_equal(changed, grey)


@pytest.mark.parametrize("kind", ["frame", "text", "scale-bar"])
def test_ink_is_visible(grey: Grey8, kind: str) -> None:
    changed = CHANGES[kind](grey, np.random.default_rng(1)).astype(int)
    drawn = np.abs(changed - grey)
    assert drawn.max() > 150
    assert 0.001 < (drawn > 100).mean() < 0.03


@pytest.mark.parametrize(("kind", "place"), [("letterbox", np.s_[24:224]), ("white-margin", np.s_[50:250, 65:325])])
def test_a_margin_surrounds_the_whole_image(grey: Grey8, kind: str, place: tuple[slice, ...]) -> None:
    assert np.array_equal(CHANGES[kind](grey, np.random.default_rng(1))[place], grey)


def test_random_changes_follow_their_generator(grey: Grey8) -> None:
    for kind in ("dust", "noise", "hot-pixels", "hot-pixels-12-bit"):
        one, again, other = (CHANGES[kind](grey, np.random.default_rng(seed)) for seed in (1, 1, 2))
        assert np.array_equal(one, again)
        assert not np.array_equal(one, other)


def test_each_copy_of_a_class_counts() -> None:
    assert share_of_classes([1, 1, 2, 2], [1, 1, 2, 3]) == 0.75
    assert share_of_classes([1, None, 2], [1, 1, None]) == 0.5
    assert share_of_classes([1, 2], []) == 0


def test_a_rejected_image_keeps_neither_count_nor_classes() -> None:
    counts = {46: None, 47: None, 44: None, 0: "no_chromosomes"}
    compared = [Comparison("-", "-", "-", 46, n, n > 0, reason, 1.0, 1.0) for n, reason in counts.items()]
    assert shares(compared) == (0.5, 0.25, 0.75)


def test_a_rejected_image_is_kept_as_it_is(tmp_path: Path) -> None:
    pixels = np.arange(6000, dtype=np.uint16).reshape(60, 100)
    write_overlay(tmp_path / "kept" / "a.png", pixels, AnalysisError("no_chromosomes", "-"))
    assert np.array_equal(np.asarray(Image.open(tmp_path / "kept" / "a.png")), pixels)


def test_every_kind_has_a_row_and_every_set_is_used(tmp_path: Path) -> None:
    (tmp_path / "adir" / "images").mkdir(parents=True)
    cell = simulate({1: 4, 21: 4}, seed=2, contrast="fluorescence", nuclei=0, debris=0, shape=(260, 320))
    Image.fromarray(cell.pixels).save(tmp_path / "adir" / "images" / "a.png")
    kinds, plot = ["inverted", "rotation-90"], tmp_path / "plot.png"
    words = ("--data", tmp_path, "--images", "1", "--kinds", *kinds, "--plot", plot, "--json", tmp_path / "all.json")
    printed = run_benchmark("accuracy.robustness", *words)
    assert printed.startswith("Images: 1 adir, 1 simulated G-band, 1 simulated fluorescence\n")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if "|" in line][2:]
    assert [row[:2] for row in rows] == [*([kind, "3"] for kind in kinds), ["all", "6"]]
    assert float(rows[-1][2].rstrip("%")) > 60
    assert float(rows[-1][4].rstrip("%")) > 60
    assert "Rejected: none." in printed
    measured = json.loads((tmp_path / "all.json").read_text())["comparisons"]
    assert len(measured) == 6
    assert all(one["seconds"] > 0 for one in measured)
    pixels = np.asarray(Image.open(plot).convert("RGB"))
    assert (pixels == (38, 98, 166)).all(axis=2).sum() > 50
