"""What exports and cameras add to an image changes neither its polarity nor its scale."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from karyotyping.arrays import Pixels
from karyotyping.image.field_of_view import field_of_view
from karyotyping.image.normalise import full_range, normalise
from training.simulation import simulate

MAX_WIDTH_CHANGE = 0.2  # relative


@pytest.fixture(scope="module", params=["bright_field", "fluorescence"])
def plain(request: pytest.FixtureRequest) -> Pixels:
    pixels: Pixels = simulate("46,XX", seed=5, contrast=request.param, nuclei=0, debris=0).pixels
    return pixels


def framed(pixels: Pixels) -> Pixels:
    result = pixels.copy()
    height, width = result.shape
    cv2.rectangle(result, (6, 6), (width - 7, height - 7), 255 - int(np.median(pixels)), 2)
    return result


def in_box(pixels: Pixels) -> Pixels:
    result = pixels.copy()
    cv2.rectangle(result, (3, 3), (result.shape[1] - 4, result.shape[0] - 4), 255 - int(np.median(pixels)), 1)
    return result


def letterbox(pixels: Pixels) -> Pixels:
    return np.pad(pixels, ((60, 60), (0, 0)), constant_values=0 if np.median(pixels) > 60 else 255)


def wide_margin(pixels: Pixels) -> Pixels:
    return np.pad(pixels, 120, constant_values=255 if np.median(pixels) < 200 else 0)


def double_margin(pixels: Pixels) -> Pixels:
    return np.pad(wide_margin(pixels), 20, constant_values=128)


def hot_pixels(pixels: Pixels) -> Pixels:
    result = pixels.astype(np.uint16) * 16
    result[::97, ::89] = 65535
    return result


def twelve_bits(pixels: Pixels) -> Pixels:
    return pixels.astype(np.uint16) * 16


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    change.__name__: change
    for change in (framed, in_box, letterbox, wide_margin, double_margin, hot_pixels, twelve_bits)
}


@pytest.mark.parametrize("change", CHANGES)
def test_polarity_and_width_stay(plain: Pixels, change: str) -> None:
    before, after = normalise(plain), normalise(CHANGES[change](plain))
    assert after.polarity == before.polarity
    assert after.width == pytest.approx(before.width, rel=MAX_WIDTH_CHANGE)


def test_a_margin_has_no_stain(plain: Pixels) -> None:
    stain = normalise(wide_margin(plain)).stain
    assert stain.shape == (plain.shape[0] + 240, plain.shape[1] + 240)
    assert not stain[:119].any()
    assert not stain[:, -119:].any()


def test_grain_on_a_clipped_background_is_not_taken_for_chromosomes() -> None:
    """Of large, soft chromosomes and many small sharp spots, the chromosomes give the scale."""
    cell = simulate("46,XX", seed=7, contrast="bright_field", nuclei=0, debris=0).pixels.astype(np.float32)
    soft = cv2.GaussianBlur(cv2.resize(cell, None, fx=2.5, fy=2.5), (0, 0), 5.0)
    clean = 250 - 0.4 * (np.median(soft) - soft)
    grain = cv2.GaussianBlur(np.random.default_rng(0).normal(0, 1, clean.shape).astype(np.float32), (0, 0), 1.5)
    spots = 254 - 30 * np.clip(grain / grain.std() - 1.2, 0, None)
    grainy = np.where(clean > 235, spots, clean).clip(0, 255).astype(np.uint8)
    expected, found = normalise(clean.clip(0, 255).astype(np.uint8)), normalise(grainy)
    assert found.polarity == "dark_on_light"
    assert found.width == pytest.approx(expected.width, rel=MAX_WIDTH_CHANGE)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_a_few_hot_pixels_do_not_change_the_range_of_the_camera(bits: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 2**bits, (200, 200)).astype(np.uint16)
    pixels[0, :5] = 65535
    assert full_range(pixels) == 2**bits - 1


def test_an_image_without_margins_is_all_field_of_view(plain: Pixels) -> None:
    assert field_of_view(plain.astype(np.float32) / 255) == np.s_[0 : plain.shape[0], 0 : plain.shape[1]]
