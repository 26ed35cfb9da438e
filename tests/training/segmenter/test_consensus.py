"""Consensus of detections that agree, disagree, or occur in one orientation alone."""

from __future__ import annotations

import numpy as np

from karyotyping.segmentation.contours import Contour
from training.segmenter.consensus import find_consensus


def bar(x: int, y: int, width: int, height: int = 10) -> Contour:
    return Contour(np.ones((height, width), bool), (x, y))


def test_a_unanimous_region_has_the_outline_of_the_majority() -> None:
    (found,) = find_consensus([[bar(5, 5, 40)], [bar(5, 5, 40)], [bar(3, 5, 42, 12)]])
    assert found.share == 1
    assert found.region.origin == (3, 5)
    assert found.region.area == 400


def test_two_halves_and_the_whole_are_three_regions() -> None:
    whole, halves = bar(0, 0, 60), [bar(0, 0, 30), bar(30, 0, 30)]
    found = find_consensus([[whole], halves, [whole], [whole]])
    assert [(item.share, item.region.area) for item in found] == [(0.75, 600), (0.25, 300), (0.25, 300)]


def test_an_orientation_has_one_vote_for_each_region() -> None:
    found = find_consensus([[bar(0, 0, 40), bar(1, 0, 40)], [bar(0, 0, 40)]])
    assert [item.share for item in found] == [1.0, 0.5]


def test_crossing_chromosomes_stay_two() -> None:
    cross = [bar(0, 20, 50), Contour(np.ones((50, 10), bool), (20, 0))]
    found = find_consensus([cross, cross[::-1]])
    assert [item.share for item in found] == [1.0, 1.0]
    assert sorted(item.region.mask.shape for item in found) == [(10, 50), (50, 10)]


def test_no_detections_give_no_consensus() -> None:
    assert find_consensus([]) == []
    assert find_consensus([[], []]) == []
