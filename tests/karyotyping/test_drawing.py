"""Karyograms and overlays show what was found, where it was found, and what is unusual about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.cell import CellAnalysis, Chromosome, Orientation, Quality, X, Y, encode_mask
from karyotyping.karyogram import ROWS, draw_karyogram
from karyotyping.overlay import draw_overlay

SHAPE = (120, 160)


def chromosome(
    class_id: int | None, *, place: tuple[int, int] = (10, 10), score: float = 0.9, up: Orientation = "p_up"
) -> Chromosome:
    """A chromosome of 40 by 12 pixels whose upper half is black and whose lower half is pale."""
    x, y = place
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[y : y + 40, x : x + 12] = True
    straightened = np.full((40, 12), 200, dtype=np.uint8)
    straightened[:20] = 0
    return Chromosome(
        ordinal=0,
        box=(x, y, 12, 40),
        mask=encode_mask(mask),
        score=score,
        class_id=class_id,
        class_score=0.9,
        top5=(),
        length=40.0,
        width=12.0,
        centromere_index=0.5,
        orientation=up,
        straightened=straightened,
        profile=np.zeros(64, dtype=np.float32),
    )


def cell(chromosomes: Sequence[Chromosome]) -> CellAnalysis:
    quality = Quality(
        chromosome_count=len(chromosomes),
        contrast_polarity="dark_on_light",
        focus=1.0,
        contrast=0.5,
        noise=0.0,
        background_unevenness=0.0,
        spread=2.0,
        chromosome_width=12.0,
        cluster_count=0,
        overlap_count=0,
        nucleus_count=0,
        debris_count=0,
        edge_contact_count=0,
        class_confidence=0.9,
        score=0.8,
    )
    return CellAnalysis(SHAPE, tuple(chromosomes), quality, "46,XX")


def red_pixels(page: NDArray[np.uint8]) -> int:
    red, green, blue = (page[..., channel].astype(int) for channel in range(3))
    return int(((red > 150) & (green < 100) & (blue < 110)).sum())


def black_pixels(page: NDArray[np.uint8]) -> int:
    return int((page.max(axis=2) < 20).sum())


def test_every_class_has_its_place_in_the_groups() -> None:
    classes = [n for row in ROWS for _, ids in row for n in ids]
    assert sorted(classes) == list(range(1, 25))
    assert ROWS[-1][-1][1] == (X, Y)


def test_every_chromosome_is_on_the_page() -> None:
    pairs = [chromosome(n) for n in range(1, 23) for _ in range(2)]
    fewer, more = (black_pixels(draw_karyogram(cell(items))) for items in (pairs, [*pairs, chromosome(X)]))
    assert more / fewer == pytest.approx(45 / 44, rel=0.01)


def test_p_arms_are_turned_up() -> None:
    up, down = (draw_karyogram(cell([chromosome(8, up=way)])) for way in ("p_up", "p_down"))
    rows_up, rows_down = (np.nonzero((page.max(axis=2) < 20).sum(axis=1) > 10)[0] for page in (up, down))
    assert rows_up.mean() < rows_down.mean()
    assert up.shape == down.shape


def test_an_unusual_number_of_copies_has_its_name_in_red() -> None:
    normal = [chromosome(n) for n in range(1, 23) for _ in range(2)] + [chromosome(X)] * 2
    assert red_pixels(draw_karyogram(cell(normal))) == 0
    assert red_pixels(draw_karyogram(cell([*normal, chromosome(21)]))) > 0
    assert red_pixels(draw_karyogram(cell(normal[1:]))) > 0


def test_what_fits_no_class_gets_rows_of_its_own() -> None:
    normal = [chromosome(n) for n in range(1, 23) for _ in range(2)]
    page, longer, longest = (
        draw_karyogram(cell([*normal, *[chromosome(None)] * strangers]), "slide 1") for strangers in (0, 1, 60)
    )
    assert page.shape[0] < longer.shape[0] < longest.shape[0]
    assert page.shape[1] == longest.shape[1]
    assert page.dtype == np.uint8


def test_an_empty_cell_still_has_a_page() -> None:
    page = draw_karyogram(cell([]))
    assert page.shape[2] == 3
    assert black_pixels(page) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_outlines_lie_on_the_chromosomes(dtype: type[np.uint8 | np.uint16]) -> None:
    pixels = np.full(SHAPE, 200, dtype=dtype)
    pixels[0, 0] = 0
    found = cell([chromosome(3, place=(60, 50))])
    overlay = draw_overlay(pixels, found)
    factor = overlay.shape[0] // SHAPE[0]
    coloured = np.ptp(overlay.astype(int), axis=2) > 60
    rows, columns = (np.unique(where // factor) for where in np.nonzero(coloured[48 * factor :]))
    assert (columns.min(), columns.max()) == (pytest.approx(60, abs=1), pytest.approx(71, abs=1))
    assert rows.max() + 48 == pytest.approx(89, abs=1)
    assert not coloured[70 * factor, 62 * factor : 69 * factor].any()


def test_doubtful_outlines_are_dashed() -> None:
    pixels = np.full(SHAPE, 200, dtype=np.uint8)
    sure, doubtful = (draw_overlay(pixels, cell([chromosome(3, place=(60, 50), score=score)])) for score in (0.9, 0.2))
    coloured = [int((np.ptp(overlay.astype(int), axis=2) > 60).sum()) for overlay in (sure, doubtful)]
    assert coloured[1] < 0.8 * coloured[0]


def test_refuses_an_image_that_was_not_analysed() -> None:
    with pytest.raises(ValueError, match="analysis is of an image"):
        draw_overlay(np.zeros((5, 5), dtype=np.uint8), cell([replace(chromosome(None), class_score=0.0)]))
