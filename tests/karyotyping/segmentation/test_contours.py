"""Contours: relative size separates nuclei and debris from chromosomes."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from karyotyping.image.normalise import Normalised, normalise
from karyotyping.segmentation.contours import (
    Contour,
    ContourParameters,
    binarise,
    bright_nuclei,
    connected_regions,
    find_contours,
)


def field(scale: float = 1.0, nucleus: int = 2, specks: int = 5) -> NDArray[np.uint8]:
    """Twelve rods, some nuclei of twice their brightness, some specks; drawn at ``scale``."""
    stain = np.zeros((round(300 * scale), round(460 * scale)), np.float32)
    for k in range(12):
        centre = ((40 + 50 * (k % 6)) * scale, (60 + 90 * (k // 6)) * scale)
        box = cv2.boxPoints((centre, (12 * scale, 40 * scale), 20.0 * k))
        cv2.fillPoly(stain, [np.rint(box).astype(np.int32)], 1.0)
    for k in range(nucleus):
        cv2.circle(stain, (round(395 * scale), round((70 + 150 * k) * scale)), round(45 * scale), 1.8, -1)
    for k in range(specks):
        cv2.circle(stain, (round((30 + 60 * k) * scale), round(270 * scale)), round(4 * scale), 1.0, -1)
    blurred = cv2.GaussianBlur(stain, (0, 0), scale)
    noise = np.random.default_rng(0).normal(0.0, 1.0, stain.shape)
    return np.clip(15 + 110 * blurred + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.0])
def test_contours_do_not_depend_on_the_scale(scale: float) -> None:
    found = find_contours(normalise(field(scale)), ContourParameters())
    assert (len(found.regions), found.nucleus_count) == (12, 2)
    assert found.typical_area == pytest.approx(12 * 40 * scale**2, rel=0.25)


def test_kept_nuclei_are_contours_and_counted() -> None:
    found = find_contours(normalise(field()), ContourParameters(keep_nuclei=True))
    assert (len(found.regions), found.nucleus_count) == (14, 2)


def test_specks_are_debris() -> None:
    found = find_contours(normalise(field(2.0, specks=5)), ContourParameters())
    assert found.debris_count == 5
    assert find_contours(normalise(field(2.0, specks=0)), ContourParameters()).debris_count == 0


def test_a_nucleus_at_the_border_is_counted() -> None:
    pixels = field(nucleus=0)
    cv2.circle(pixels, (455, 150), 45, 200, -1)
    assert find_contours(normalise(pixels), ContourParameters()).nucleus_count == 1


def test_the_corners_of_a_cut_nucleus_belong_to_it() -> None:
    wedge = cv2.fillPoly(np.zeros((120, 260), np.float32), [np.array([(10, 100), (90, 30), (250, 100)])], 2.0)
    stain = np.asarray(wedge, np.float32).copy()
    stain[5:17, 150:200] = 1.6  # a bright chromosome
    stain[40:80, 20:32] = np.maximum(stain[40:80, 20:32], 1.0)  # a chromosome that touches
    found = bright_nuclei(stain, 12.0)
    assert found[wedge > 0].all()
    assert not found[wedge == 0].any()


def test_faint_and_bright_chromosomes_keep_their_outlines() -> None:
    stain = np.zeros((60, 120), np.float32)
    stain[20:32, 10:50] = 0.6
    stain[20:32, 70:110] = 1.6
    mask = binarise(cv2.GaussianBlur(stain, (0, 0), 1.2), 12.0, ContourParameters())
    faint, bright = connected_regions(mask)
    assert faint.area == pytest.approx(480, rel=0.12)
    assert bright.area == pytest.approx(480, rel=0.12)


def test_crops_are_0_beyond_the_border() -> None:
    image = np.ones((20, 30), np.float32)
    mask = np.zeros((20, 30), bool)
    mask[:5, :6] = True
    (contour,) = connected_regions(mask)
    assert contour.area == 30
    assert contour.crop(image)[contour.mask].all()
    assert contour.crop(image).sum() < contour.mask.size
    assert contour.touches_border((20, 30))
    assert not replace(contour, origin=(5, 5)).touches_border((20, 30))


def test_an_empty_image_has_no_contours() -> None:
    shape = (50, 60)
    empty = Normalised(np.zeros(shape, np.float32), "light_on_dark", 0.0, 0.0, 0.0, 1.0, np.zeros(shape, bool))
    found = find_contours(empty, ContourParameters())
    assert found.regions == ()
    assert Contour(np.zeros((3, 3), bool), (0, 0)).area == 0
