"""The karyogram as an RGB image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.model import Chromosome
from karyotyping.rendering.karyogram import draw_karyogram

if TYPE_CHECKING:
    from conftest import MakeCell, MakeChromosome


def red_pixels(page: NDArray[np.uint8]) -> int:
    red, green, blue = (page[..., channel].astype(int) for channel in range(3))
    return int(((red > 150) & (green < 100) & (blue < 110)).sum())


def black_pixels(page: NDArray[np.uint8]) -> int:
    return int((page.max(axis=2) < 20).sum())


def test_every_chromosome_is_on_the_page(pairs: list[Chromosome], cell: MakeCell) -> None:
    fewer, more = (black_pixels(draw_karyogram(cell(items))) for items in (pairs[1:], pairs))
    assert more / fewer == pytest.approx(46 / 45, rel=0.005)


def test_p_arms_are_rotated_up(chromosome: MakeChromosome, cell: MakeCell) -> None:
    up, down = (draw_karyogram(cell([chromosome(8, orientation=way)])) for way in ("p_up", "p_down"))
    rows_up, rows_down = (np.nonzero((page.max(axis=2) < 20).sum(axis=1) > 10)[0] for page in (up, down))
    assert rows_up.mean() < rows_down.mean()
    assert up.shape == down.shape


def test_abnormal_copies_are_red(pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell) -> None:
    page = draw_karyogram(cell(pairs))
    assert page.dtype == np.uint8
    assert red_pixels(page) == 0
    gained, lost = (red_pixels(draw_karyogram(cell(items))) for items in ([*pairs, chromosome(21)], pairs[1:]))
    assert 0 < gained < lost


def test_characters_outside_the_typeface_are_drawn_without_accents(pairs: list[Chromosome], cell: MakeCell) -> None:
    plain, accented = (draw_karyogram(cell(pairs), title) for title in ("Praparat", "Präparat"))
    assert np.array_equal(plain, accented)
    assert draw_karyogram(cell(pairs), "\ud800\x00中\u202e").shape == plain.shape


def test_a_cell_without_chromosomes_has_no_black(cell: MakeCell) -> None:
    assert black_pixels(draw_karyogram(cell([]))) == 0
