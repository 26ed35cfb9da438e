"""What lies within a nucleus does not stand out; chromosomes do, also between others and on haze."""

from __future__ import annotations

import cv2
import numpy as np

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.prominence import surround_brightness

WIDTH = 10.0


def bar(x: int, y: int) -> Contour:
    return Contour(np.pad(np.ones((10, 30), bool), 1), (x - 1, y - 1))


def photograph(*bars: Contour, nucleus: tuple[int, int] | None = None, haze: float = 0.0) -> np.ndarray:
    stain = np.full((120, 160), haze, np.float32)
    if nucleus:
        cv2.circle(stain, nucleus, 30, 1.5, cv2.FILLED)
    for one in bars:
        stain[one.pixels(stain.shape)] += 1.0
    return np.minimum(stain, 2.0)


def test_a_bright_part_of_a_nucleus_is_told_from_a_chromosome() -> None:
    within, alone = bar(35, 55), bar(110, 55)
    stain = photograph(within, alone, nucleus=(50, 60))
    bright, dark = surround_brightness([within, alone], stain, WIDTH)
    assert bright > 0.7
    assert dark == 0.0


def test_neighbours_are_not_its_surroundings() -> None:
    packed = [bar(60, 30 + 11 * row) for row in range(5)]
    assert max(surround_brightness(packed, photograph(*packed), WIDTH)) == 0.0


def test_a_chromosome_on_haze_stands_out() -> None:
    assert surround_brightness([bar(60, 50)], photograph(bar(60, 50), haze=0.4), WIDTH)[0] < 0.3


def test_regions_beyond_the_border_and_empty_ones_are_no_fault() -> None:
    beyond, empty = bar(-20, -4), Contour(np.zeros((3, 3), bool), (5, 5))
    assert surround_brightness([beyond, empty, bar(200, 300)], photograph(beyond), WIDTH) == [0.0, 0.0, 0.0]
    assert surround_brightness([], photograph(), WIDTH) == []
