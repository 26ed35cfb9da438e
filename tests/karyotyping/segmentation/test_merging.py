"""Fragments that a pale band separated are merged, neighbours are not."""

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


def counts_before_and_after(stain: NDArray[np.float32], polarity: str = "dark_on_light") -> tuple[int, int]:
    contrast = "dark_on_light" if polarity == "dark_on_light" else "light_on_dark"
    normalised = Normalised(stain, contrast, 0.01, 0.0, 0.5, 1.0, np.zeros(stain.shape, bool))
    regions = connected_regions(stain > 0.5)
    found = Contours(tuple(regions), 0, 0, typical_area(regions, 12.0))
    after = merge_fragments(found, normalised, ContourParameters(), SplitParameters(), MergeParameters())
    return len(regions), len(after.regions)


def test_fragments_of_a_pale_band_are_merged() -> None:
    assert counts_before_and_after(banded(0.35)) == (7, 6)


def test_neighbours_across_background_are_not_merged() -> None:
    assert counts_before_and_after(banded(0.0)) == (7, 7)


def test_light_on_dark_images_are_not_merged() -> None:
    assert counts_before_and_after(banded(0.35), "light_on_dark") == (7, 7)
