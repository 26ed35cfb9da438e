"""Brightness of the surroundings of regions: high inside a nucleus, low around a chromosome.

The segmenter sees one tile, so bright or mottled nuclei may yield false detections. The surroundings of a chromosome
are dark wherever no other chromosome is.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey
from karyotyping.segmentation.contours import Contour

_SURROUND_WIDTH = 0.5  # chromosome widths
_RIM_KERNEL: NDArray[np.uint8] = np.ones((3, 3), np.uint8)  # the blurred rim is 1 px wide
_MIN_FREE_SHARE = 0.6  # share of the surroundings outside other regions, 0..1
_MIN_STAIN = 1e-3


def surround_brightness(regions: Sequence[Contour], stain: Grey, width: float) -> list[float]:
    """Return the stain of each region's free surroundings over the stain of the region.

    Both are medians. Surroundings are free where no other region is.

    Args:
        regions: of one image.
        stain: (H, W) of a normalised image.
        width: chromosome width, pixels.

    Returns:
        Ratios from 0; 0 where less than 60 % of the surroundings are free.

    >>> spot = Contour(np.pad(np.ones((6, 6), bool), 1), (16, 16))
    >>> stain = np.full((40, 40), 0.8, np.float32)
    >>> surround_brightness([spot], stain, 8)
    [1.0]
    >>> stain[17:23, 17:23] = 1.6
    >>> surround_brightness([spot], stain, 8)
    [0.5]
    """
    reach = max(2, round(_SURROUND_WIDTH * width))
    disc = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), np.uint8)
    bodies = [_dilated(region, _RIM_KERNEL) for region in regions]
    occupied = np.zeros(stain.shape, np.uint8)
    for body in bodies:
        in_image, in_crop = body.window(stain.shape)
        occupied[in_image] |= body.mask[in_crop]
    result = []
    for region, body in zip(regions, bodies, strict=True):
        wide = _dilated(body, disc)
        wide.mask[reach:-reach, reach:-reach] &= ~body.mask
        in_image, in_crop = wide.window(stain.shape)
        ring = wide.mask[in_crop]
        free = stain[in_image][ring & (occupied[in_image] == 0)]
        inside = region.values(stain)
        crowded = len(free) < _MIN_FREE_SHARE * np.count_nonzero(ring) or not len(inside)
        result.append(0.0 if crowded else float(np.median(free) / max(float(np.median(inside)), _MIN_STAIN)))
    return result


def _dilated(region: Contour, kernel: NDArray[np.uint8]) -> Contour:
    margin = kernel.shape[0] // 2
    framed = cv2.copyMakeBorder(region.mask.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    mask = cv2.dilate(framed, kernel) > 0
    return Contour(mask, (region.origin[0] - margin, region.origin[1] - margin))
