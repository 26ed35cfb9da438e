"""Regions cut out of simulated metaphases, and their routes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.router import CLUSTER, GEOMETRY, NOISE, PART, SIDE, SINGLE, WITH_NOISE
from training.router.data import classify_content, compose_metaphase, make_samples, split_region
from training.simulation.karyotype_reports import read_cells

Write = Callable[[Path, int], Path]


@pytest.mark.parametrize(
    ("shares", "covered", "route"),
    [
        ([0.95, 0.02], 0.9, SINGLE),
        ([0.9, 0.4], 0.9, CLUSTER),
        ([0.9, 0.0], 0.5, WITH_NOISE),
        ([0.0, 0.05], 0.02, NOISE),
        ([0.4, 0.0], 1.0, PART),
        ([0.65, 0.0], 1.0, None),
        ([0.1, 0.0], 0.5, None),
    ],
)
def test_route_follows_from_the_covered_chromosomes(shares: list[float], covered: float, route: int | None) -> None:
    assert classify_content(np.array(shares), covered) == route


def test_split_region_leaves_no_pixel_out() -> None:
    mask = np.zeros((20, 60), bool)
    mask[4:16, 5:55] = True
    for seed in range(5):
        pieces = split_region(Contour(mask, (3, 4)), np.random.default_rng(seed))
        np.testing.assert_array_equal(pieces[0].mask ^ pieces[1].mask, mask)


def test_training_and_held_out_cells_share_no_file(tmp_path: Path, write_report: Write) -> None:
    report = write_report(tmp_path / "report.zip", 10)
    seen, unseen = (
        {file for cell in read_cells(report, held_out=side) for file in cell.files} for side in (False, True)
    )
    assert (len(seen), len(unseen)) == (8 * 46, 2 * 46)
    assert not seen & unseen


def test_read_cells_returns_only_the_given_cases(tmp_path: Path, write_report: Write) -> None:
    report = write_report(tmp_path / "report.zip", 10)
    cells = read_cells(report, held_out=False, cases=["case1", "case3"])
    assert {file.split("/")[0] for cell in cells for file in cell.files} == {"2", "3", "6", "7"}


def test_metaphase_is_composed_of_a_report(tmp_path: Path, write_report: Write) -> None:
    cell = read_cells(write_report(tmp_path / "report.zip", 1), held_out=False)[0]
    pixels, truth = compose_metaphase(np.random.default_rng(2), cell)
    assert truth.shape == (46, *pixels.shape)
    assert truth.any(axis=(1, 2)).all()


def test_samples_are_reproducible_and_have_every_common_route() -> None:
    first, again = (make_samples([], 0.0, 1, seed=5, held_out=False) for _ in range(2))
    assert first.appearance.shape[1:] == (2, SIDE, SIDE)
    assert first.geometry.shape == (len(first.route), len(GEOMETRY))
    assert {SINGLE, CLUSTER, NOISE, PART} <= set(first.route.tolist())
    np.testing.assert_array_equal(first.appearance, again.appearance)
    other = make_samples([], 0.0, 1, seed=5, held_out=True)
    assert other.geometry.shape != first.geometry.shape or not np.array_equal(other.geometry, first.geometry)
