"""Outlines follow the stain, near those of the masks, and keep every chromosome."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from karyotyping.arrays import Grey, Mask
from karyotyping.segmentation.contours import Contour, connected_regions
from karyotyping.segmentation.outlines import OutlineParameters, refine_outlines

WIDTH = 12  # px


def bar(width: int = WIDTH, length: float = 4.0, offset: float = 0.0) -> Mask:
    """Return a vertical bar in the middle of a field, moved to the right by ``offset`` widths."""
    field = np.zeros((int(8 * width), int(8 * width)), bool)
    left, top = round((3.5 + offset) * width), round((4 - length / 2) * width)
    field[top : top + round(length * width), left : left + width] = True
    return field


def stained(*masks: Mask, width: int = WIDTH, noise: float = 0.0, blur: float = 0.1) -> Grey:
    """Return the stain of chromosomes that add where they cross, blurred by ``blur`` widths."""
    total = np.sum(masks, axis=0).astype(np.float32)
    grain = noise * np.random.default_rng(5).standard_normal(total.shape)
    return np.asarray(np.clip(cv2.GaussianBlur(total, (0, 0), blur * width) + grain, 0, 2), np.float32)


def changed(mask: Mask, pixels: float) -> Contour:
    """Return a mask grown, or with a negative number shrunk, by about this many pixels."""
    side = 2 * round(abs(pixels)) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    (region,) = connected_regions((cv2.dilate if pixels > 0 else cv2.erode)(mask.astype(np.uint8), disc) > 0)
    return region


def overlap(region: Contour, truth: Mask) -> float:
    """Return the intersection over union of a region and a mask."""
    mask = region.full_mask((truth.shape[0], truth.shape[1]))
    return float((mask & truth).sum() / (mask | truth).sum())


@pytest.mark.parametrize("width", [5, 12, 30, 80])
@pytest.mark.parametrize(("noise", "blur"), [(0.0, 0.05), (0.0, 0.1), (0.1, 0.1)])
@pytest.mark.parametrize("error", [-0.1, 0.1])
def test_outlines_that_are_off_move_to_the_stain(width: int, noise: float, blur: float, error: float) -> None:
    """In images so coarse that the reach is below a pixel, blurred outlines may stay."""
    truth = bar(width)
    region = changed(truth, np.sign(error) * max(1, abs(error) * width))
    stain, parameters = stained(truth, width=width, noise=noise, blur=blur), OutlineParameters()
    (refined,) = refine_outlines(stain, [region], width, parameters)
    gain = overlap(refined, truth) - overlap(region, truth)
    assert gain > 0 or (gain == 0 and parameters.reach * width < 1)


def test_an_outline_moves_no_farther_than_its_reach() -> None:
    truth = bar()
    for pixels in (-4, 4):
        region = changed(truth, pixels)
        (refined,) = refine_outlines(stained(truth), [region], WIDTH, OutlineParameters(reach=0.1))
        before, after = region.full_mask(truth.shape[:2]), refined.full_mask(truth.shape[:2])
        away = cv2.distanceTransform(1 - (before if pixels < 0 else ~before).astype(np.uint8), cv2.DIST_L2, 5)
        assert (before != after).any()
        assert away[before != after].max() <= 0.1 * WIDTH + 0.5


def test_masks_decide_between_chromosomes_that_touch() -> None:
    left, right = bar(offset=-0.5), bar(offset=0.5)
    regions = [changed(mask, 0) for mask in (left, right)]
    refined = refine_outlines(stained(left | right), regions, WIDTH, OutlineParameters())
    assert refined[0].overlap_area(refined[1]) == 0
    assert min(overlap(refined[0], left), overlap(refined[1], right)) > 0.93


def test_shared_pixels_stay_shared() -> None:
    upright = bar(length=5)
    lying = upright.T
    regions = [changed(mask, 1) for mask in (upright, lying)]
    refined = refine_outlines(stained(upright, lying), regions, WIDTH, OutlineParameters())
    assert refined[0].overlap_area(refined[1]) == regions[0].overlap_area(regions[1])
    assert min(overlap(refined[0], upright), overlap(refined[1], lying)) > 0.93


def test_every_chromosome_stays_one_region_inside_the_image() -> None:
    """Without stain, with a gap in it, at the border of the image, and a mask of one pixel."""
    rng = np.random.default_rng(2)
    truth = bar()
    gap = stained(truth)
    gap[44:50] = 0
    border = truth[: truth.shape[0] // 2, : 4 * WIDTH].copy()
    speck = np.zeros_like(truth)
    speck[20, 20] = True
    cases = [
        (np.zeros(truth.shape, np.float32), truth),
        (gap, truth),
        (stained(truth)[: border.shape[0], : border.shape[1]], border),
        (rng.uniform(0, 2, truth.shape).astype(np.float32), truth),
        (stained(truth), speck),
    ]
    for stain, mask in cases:
        regions = connected_regions(mask)
        (refined,) = refine_outlines(stain, regions, WIDTH, OutlineParameters())
        assert len(refined.pixels(stain.shape)[0]) == refined.area > 0
        assert len(connected_regions(refined.full_mask(mask.shape[:2]))) == 1


def test_an_image_without_chromosomes_has_no_outlines() -> None:
    assert refine_outlines(np.zeros((20, 30), np.float32), [], WIDTH, OutlineParameters()) == []
