"""Which pairs of bars are twins."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.sister_chromatids import sister_share


def bar(x: int, y: int, length: int = 20, *, upright: bool = False) -> Contour:
    mask = np.zeros((7, length + 2), bool)
    mask[1:-1, 1:-1] = True
    return Contour(mask.T if upright else mask, (x, y))


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (bar(1, 6), 1.0),
        (bar(1, 30), 0.0),  # far away
        (bar(12, 6), 0.0),  # shifted along the axis
        (bar(4, 6, 10), 0.0),  # half as long
        (bar(8, -4, upright=True), 0.0),  # perpendicular
        (bar(1, 2), 0.0),  # duplicate
    ],
)
def test_twins_are_alike_parallel_and_adjacent(other: Contour, share: float) -> None:
    assert sister_share([bar(0, 0), other]) == share


def test_a_single_region_has_no_twin() -> None:
    assert sister_share([bar(0, 0)]) == sister_share([]) == 0.0


def test_specks_are_never_twins() -> None:
    specks = [Contour(np.full((1, 1), filled), (0, 0)) for filled in (True, False)]
    assert sister_share([bar(0, 0), bar(1, 6), *specks]) == 1.0
