"""Overlays have outlines at the chromosomes, dashed for low scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from karyotyping.model import CellAnalysis, Chromosome, Quality, Unassigned, encode_mask
from karyotyping.rendering.overlay import draw_overlay

SHAPE = (120, 160)


def chromosome(class_id: int | None, *, place: tuple[int, int] = (10, 10), score: float = 0.9) -> Chromosome:
    """Return a chromosome of 40 by 12 pixels with a black upper half and a pale lower half."""
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
        orientation="p_up",
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
        unexplained_objects=0,
        edge_contact_count=0,
        class_confidence=0.9,
        score=0.8,
    )
    return CellAnalysis(SHAPE, tuple(chromosomes), quality, "46,XX")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_outlines_are_at_the_chromosomes(dtype: type[np.uint8 | np.uint16]) -> None:
    pixels = np.full(SHAPE, 200, dtype=dtype)
    pixels[0, 0] = 0
    analysis = cell([chromosome(3, place=(60, 50))])
    overlay = draw_overlay(pixels, analysis)
    factor = overlay.shape[0] // SHAPE[0]
    coloured = np.ptp(overlay.astype(int), axis=2) > 60
    rows, columns = (np.unique(where // factor) for where in np.nonzero(coloured[48 * factor :]))
    assert (columns.min(), columns.max()) == (pytest.approx(60, abs=1), pytest.approx(71, abs=1))
    assert rows.max() + 48 == pytest.approx(89, abs=1)
    assert not coloured[70 * factor, 62 * factor : 69 * factor].any()


def test_outlines_of_low_score_are_dashed() -> None:
    pixels = np.full(SHAPE, 200, dtype=np.uint8)
    solid, dashed = (draw_overlay(pixels, cell([chromosome(3, place=(60, 50), score=score)])) for score in (0.9, 0.2))
    coloured = [int((np.ptp(overlay.astype(int), axis=2) > 60).sum()) for overlay in (solid, dashed)]
    assert coloured[1] < 0.8 * coloured[0]


def test_an_image_of_another_shape_raises() -> None:
    with pytest.raises(ValueError, match="analysis is of an image"):
        draw_overlay(np.zeros((5, 5), dtype=np.uint8), cell([replace(chromosome(None), class_score=0.0)]))


def test_rests_are_dashed_and_named_in_a_legend() -> None:
    pixels = np.full(SHAPE, 200, dtype=np.uint8)
    mask = np.zeros(SHAPE, dtype=np.bool_)
    mask[70:110, 20:60] = True
    plain = cell([chromosome(3, place=(100, 50))])
    uncertain = replace(plain, rests=(Unassigned("uncertain", encode_mask(mask)),))
    both = replace(plain, rests=(*uncertain.rests, Unassigned("debris", encode_mask(mask))))
    without, one, two = (draw_overlay(pixels, analysis).astype(int) for analysis in (plain, uncertain, both))
    factor = len(one) // SHAPE[0]
    changed = (one != without).any(axis=2)
    assert changed[:30, :200].any()
    below = changed.copy()
    below[: 60 * factor] = False
    rows, columns = (np.unique(where // factor) for where in np.nonzero(below))
    assert (rows.min(), rows.max()) == (pytest.approx(70, abs=1), pytest.approx(109, abs=1))
    assert (columns.min(), columns.max()) == (pytest.approx(20, abs=1), pytest.approx(59, abs=1))
    side = changed[90 * factor - 9 : 90 * factor + 9, 19 * factor : 21 * factor].any(axis=1)
    assert side.any()
    assert not side.all()
    assert (two != one)[:30, 100:].any()
