"""Clusters are split between chromosomes; a bent chromosome stays whole."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.arrays import Mask
from karyotyping.segmentation.cut_lines import CutParameters, apply_cut, find_cuts
from karyotyping.segmentation.splitting import SplitParameters, main_axis, split_region, whole_log_odds

WIDTH, AREA = 12.0, 480.0


def strip(*points: tuple[int, int], shape: tuple[int, int] = (120, 120)) -> Mask:
    """A tube of the usual width along a polyline."""
    mask = np.zeros(shape, np.uint8)
    cv2.polylines(mask, [np.array(points, np.int32)], False, 1, round(WIDTH))
    return mask > 0


def stained(*masks: Mask) -> NDArray[np.float32]:
    return cv2.GaussianBlur(np.sum(masks, axis=0).astype(np.float32), (0, 0), 1.2)


def parts_of(*masks: Mask) -> list[Mask]:
    whole = np.any(masks, axis=0)
    return [part.mask for part in split_region(whole, stained(*masks), WIDTH, AREA, SplitParameters())]


def overlap(one: Mask, other: Mask) -> float:
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))


@pytest.mark.parametrize(
    "chromosome",
    [
        strip((20, 60), (60, 60)),
        strip((20, 30), (50, 50), (90, 50)),
        strip((20, 30), (60, 35), (60, 70)),
        strip((30, 30), (55, 60), (80, 30)),
    ],
    ids=["straight", "bent", "hooked", "v"],
)
def test_one_chromosome_stays_whole(chromosome: Mask) -> None:
    assert len(parts_of(chromosome)) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (strip((20, 30), (100, 30)), strip((60, 41), (60, 100))),
        (strip((20, 40), (70, 40)), strip((76, 50), (76, 100))),
        (strip((15, 30), (58, 60)), strip((70, 60), (115, 30))),
    ],
    ids=["T", "corner", "tips"],
)
def test_touching_chromosomes_are_split(one: Mask, other: Mask) -> None:
    parts = parts_of(one, other)
    assert len(parts) == 2
    for truth in (one, other):
        assert max(overlap(truth, part) for part in parts) > 0.75


def test_parts_are_disjoint_and_complete() -> None:
    masks = strip((20, 30), (100, 30)), strip((60, 41), (60, 100)), strip((25, 41), (25, 90))
    parts = parts_of(*masks)
    assert np.array_equal(np.sum(parts, axis=0), np.any(masks, axis=0).astype(int))


def test_a_chromosome_has_higher_log_odds_than_a_cross_or_a_speck() -> None:
    parameters = SplitParameters()
    whole = whole_log_odds(strip((20, 60), (60, 60)), WIDTH, AREA, parameters)
    cross = whole_log_odds(strip((20, 60), (100, 60)) | strip((60, 20), (60, 100)), WIDTH, AREA, parameters)
    speck = whole_log_odds(strip((60, 60), (62, 60)), WIDTH, AREA, parameters)
    assert whole == parameters.whole
    assert cross < whole - 3
    assert speck < whole


def test_the_main_axis_follows_the_bend() -> None:
    path, depth = main_axis(strip((20, 30), (60, 35), (60, 70)))
    assert len(path) > 50
    assert 2 * np.median(depth[path[:, 0], path[:, 1]]) == pytest.approx(WIDTH, abs=2)


def test_the_likeliest_cut_of_a_dumbbell_is_its_neck() -> None:
    mask = strip((20, 60), (50, 60)) | strip((68, 60), (100, 60))
    mask[58:63, 40:80] = True
    cut = find_cuts(mask, stained(mask), WIDTH, CutParameters())[0]
    assert 48 < cut.start[0] < 72
    assert len(apply_cut(mask, cut)) == 2


def test_an_empty_or_tiny_region_has_no_cuts() -> None:
    tiny = np.zeros((9, 9), bool)
    tiny[4, 4] = True
    assert find_cuts(tiny, tiny.astype(np.float32), WIDTH, CutParameters()) == []
    assert len(split_region(tiny, tiny.astype(np.float32), WIDTH, AREA, SplitParameters())) == 1
