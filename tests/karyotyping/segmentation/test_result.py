"""Flags, counts and order of detections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.result import ScoredRegion, Segmentation, StreamParameters, build_segmentation

SHAPE = (60, 80)


def bar(x: int, y: int, w: int, h: int, score: float = 0.9) -> ScoredRegion:
    return ScoredRegion(Contour(np.pad(np.ones((h, w), bool), 1), (x - 1, y - 1)), score)


def finished(*detections: ScoredRegion) -> Segmentation:
    return build_segmentation(detections, SHAPE, StreamParameters(), nucleus_count=2, debris_count=1)


def test_flags_mark_touching_overlapped_uncertain_and_cut_instances() -> None:
    flat, across, neighbour, alone = bar(10, 20, 30, 6), bar(20, 8, 6, 30), bar(40, 20, 20, 6), bar(60, 50, 12, 5, 0.2)
    found = finished(alone, neighbour, flat, across, bar(-4, 40, 12, 6))
    flags = {(i.origin[0] + 1, i.origin[1] + 1): i.flags for i in found.instances}
    assert flags[20, 8] == flags[10, 20] == {"touching", "overlapped"}
    assert flags[40, 20] == {"touching"}
    assert flags[60, 50] == {"uncertain"}
    assert flags[0, 40] == {"cut_by_border"}
    assert (found.cluster_count, found.overlap_count, found.nucleus_count, found.debris_count) == (1, 1, 2, 1)


def test_instances_are_clipped_and_sorted_from_the_upper_left() -> None:
    wide = ScoredRegion(Contour(np.pad(np.ones((6, 8), bool), 9), (-13, 20)), 0.9)
    found = finished(bar(50, 30, 5, 5), wide, bar(50, 10, 5, 5))
    assert [i.origin for i in found.instances] == [(49, 9), (-1, 28), (49, 29)]
    assert found.instances[1].mask.shape == (8, 6)
    assert found.instances[1].full_mask(SHAPE).sum() == 6 * 4
    assert finished().instances == ()


def test_a_neighbour_a_few_pixels_away_does_not_touch() -> None:
    found = finished(bar(10, 10, 10, 6), bar(23, 10, 10, 6))
    assert [i.flags for i in found.instances] == [frozenset(), frozenset()]
    assert found.cluster_count == 0


def test_a_lone_detection_is_uncertain_at_every_score() -> None:
    found = finished(bar(5, 10, 8, 6), replace(bar(30, 10, 8, 6), lone=True))
    assert [sorted(item.flags) for item in found.instances] == [[], ["uncertain"]]
