"""Surroundings are bright inside a nucleus and dark around chromosomes, also on haze."""

from __future__ import annotations

import cv2
import numpy as np

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.prominence import surround_brightness

WIDTH = 10.0


def bar(x: int, y: int) -> Contour:
    return Contour(np.pad(np.ones((10, 30), bool), 1), (x - 1, y - 1))


def stain_of(*bars: Contour, nucleus: tuple[int, int] | None = None, haze: float = 0.0) -> np.ndarray:
    stain = np.full((120, 160), haze, np.float32)
    if nucleus:
        cv2.circle(stain, nucleus, 30, 1.5, cv2.FILLED)
    for one in bars:
        stain[one.pixels(stain.shape)] += 1.0
    return np.minimum(stain, 2.0)


def test_surroundings_are_bright_in_a_nucleus_and_dark_around_a_chromosome() -> None:
    within, alone = bar(35, 55), bar(110, 55)
    stain = stain_of(within, alone, nucleus=(50, 60))
    bright, dark = surround_brightness([within, alone], stain, WIDTH)
    assert bright > 0.7
    assert dark == 0.0


def test_surroundings_without_free_pixels_give_0() -> None:
    packed = [bar(60, 30 + 11 * row) for row in range(5)]
    assert max(surround_brightness(packed, stain_of(*packed), WIDTH)) == 0.0


def test_surroundings_on_haze_stay_dark() -> None:
    assert surround_brightness([bar(60, 50)], stain_of(bar(60, 50), haze=0.4), WIDTH)[0] < 0.3


def test_empty_and_outside_regions_give_0() -> None:
    beyond, empty = bar(-20, -4), Contour(np.zeros((3, 3), bool), (5, 5))
    assert surround_brightness([beyond, empty, bar(200, 300)], stain_of(beyond), WIDTH) == [0.0, 0.0, 0.0]
    assert surround_brightness([], stain_of(), WIDTH) == []
