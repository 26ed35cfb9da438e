"""Removal of polarity, background, bit depth and scale."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.image.normalise import background, chromosome_width, find_polarity, full_range, normalise


def rods(width: int = 12, shape: tuple[int, int] = (400, 520)) -> NDArray[np.float32]:
    """Stain 0..1 of 24 rods, blurred as by a microscope."""
    stain = np.zeros(shape, np.float32)
    for k in range(24):
        centre = (60 + 80 * (k % 6), 50 + 95 * (k // 6))
        box = cv2.boxPoints((centre, (width, 30 + 2 * k), 37.0 * k))
        cv2.fillPoly(stain, [np.rint(box).astype(np.int32)], 1.0)
    return cv2.GaussianBlur(stain, (0, 0), 1.0)


def exposed(stain: NDArray[np.float32], seed: int = 0) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0.0, 1.0, stain.shape)
    return np.clip(20.0 + 120.0 * stain + noise, 0, 255).astype(np.uint8)


def test_either_polarity_gives_the_same_stain() -> None:
    light = exposed(rods())
    one, other = normalise(light), normalise(255 - light)
    assert (one.polarity, other.polarity) == ("light_on_dark", "dark_on_light")
    assert np.abs(one.stain - other.stain).max() < 0.02
    assert one.scale == pytest.approx(other.scale, rel=0.02)


def test_stain_is_0_on_background_and_about_1_on_chromosomes() -> None:
    stain = rods()
    found = normalise(exposed(stain)).stain
    assert float(np.median(found[stain > 0.95])) == pytest.approx(1.0, abs=0.1)
    assert abs(float(np.median(found[stain < 0.01]))) < 0.03


@pytest.mark.parametrize("width", [8, 12, 20])
def test_the_scale_is_the_width_of_the_chromosomes(width: int) -> None:
    assert normalise(exposed(rods(width))).width == pytest.approx(width, rel=0.2)


def test_twelve_bits_give_the_same_stain_as_eight() -> None:
    eight = exposed(rods())
    twelve = eight.astype(np.uint16) * 16
    assert full_range(twelve) == 4095.0
    one, other = normalise(eight), normalise(twelve)
    assert one.contrast == pytest.approx(other.contrast, rel=0.05)
    assert np.abs(one.stain - other.stain).max() < 0.05


def test_bright_nuclei_do_not_set_the_scale_of_stain() -> None:
    stain = rods()
    cv2.circle(stain, (430, 330), 55, 1.9, -1)
    cv2.circle(stain, (40, 360), 38, 1.9, -1)
    found = normalise(exposed(stain))
    assert found.width == pytest.approx(12, rel=0.25)
    assert float(np.median(found.stain[(rods() > 0.95) & (stain < 1.5)])) == pytest.approx(1.0, abs=0.2)


@pytest.mark.parametrize("size", [4, 8])
def test_pale_spots_on_a_white_background_do_not_set_the_scale_of_stain(size: int) -> None:
    spots = cv2.GaussianBlur(np.random.default_rng(0).standard_normal((400, 520)), (0, 0), size)
    stain = rods()
    light = np.maximum(stain, 0.15 * np.clip(spots / spots.std(), 0, 2))
    found = normalise((255 - 160 * light).astype(np.uint8)).stain
    assert float(np.median(found[stain > 0.95])) == pytest.approx(1.0, abs=0.1)


def test_uneven_light_is_fitted_through_the_background_alone() -> None:
    y, x = np.mgrid[-1:1:400j, -1:1:520j]
    light = (0.2 + 0.1 * x - 0.05 * y * y).astype(np.float32)
    assert np.abs(background(light + 0.4 * rods()) - light).max() < 0.02


def test_every_quadratic_term_is_recovered() -> None:
    y, x = np.mgrid[-1:1:400j, -1:1:520j]
    for term in (np.ones_like(x), x, y, x * y, x * x, y * y):
        light = (0.4 + 0.1 * term).astype(np.float32)
        assert np.abs(background(light) - light).max() < 0.01


def test_an_empty_field_has_no_contrast_and_no_stain() -> None:
    found = normalise(np.full((100, 120), 77, np.uint8))
    assert found.contrast == 0.0
    assert not found.stain.any()


def test_polarity_is_the_side_of_the_heavier_tail() -> None:
    grey = np.full((50, 50), 0.5, np.float32)
    grey[:5] = 0.9
    assert (find_polarity(grey), find_polarity(1.0 - grey)) == ("light_on_dark", "dark_on_light")


def test_an_open_x_has_the_width_of_both_chromatids() -> None:
    mask = np.zeros((80, 80), np.uint8)
    cv2.line(mask, (34, 15), (44, 65), 1, 8)
    cv2.line(mask, (44, 15), (34, 65), 1, 8)
    assert chromosome_width(cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0) > 14
