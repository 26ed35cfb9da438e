"""Contours that a pale band tore apart become one again, and neighbours do not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import ContourParameters, Contours, connected_regions, typical_area
from karyotyping.segmentation.merging import MergeParameters, merge_fragments
from karyotyping.segmentation.splitting import SplitParameters


def banded(gap: float) -> NDArray[np.float32]:
    """Six rods 12 px wide; the first has a band of stain ``gap``."""
    stain = np.zeros((120, 420), np.float32)
    for k in range(6):
        stain[40:80, 30 + 60 * k : 42 + 60 * k] = 1.0
    stain[56:62, 30:42] = gap
    return stain


def rejoined(stain: NDArray[np.float32], polarity: str = "dark_on_light") -> tuple[int, int]:
    normalised = Normalised(
        stain, "dark_on_light" if polarity == "dark_on_light" else "light_on_dark", 0.01, 0.0, 0.5, 1.0
    )
    regions = connected_regions(stain > 0.5)
    found = Contours(tuple(regions), 0, 0, typical_area(regions, 12.0))
    after = merge_fragments(found, normalised, ContourParameters(), SplitParameters(), MergeParameters())
    return len(regions), len(after.regions)


def test_a_pale_band_is_no_border() -> None:
    assert rejoined(banded(0.35)) == (7, 6)


def test_background_is() -> None:
    assert rejoined(banded(0.0)) == (7, 7)


def test_in_fluorescence_a_dark_gap_is_a_gap() -> None:
    assert rejoined(banded(0.35), "light_on_dark") == (7, 7)
