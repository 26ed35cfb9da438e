"""How far instances stand out: what lies within a nucleus may look like a chromosome, but for its surroundings.

The segmenter sees a tile; a nucleus beside the spread that is as bright as chromosomes, or mottled, deceives it now and
then. Around a chromosome it is dark where no other one lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey
from karyotyping.segmentation.contours import Contour

Kernel = NDArray[np.uint8]

_REACH = 0.5
"""How far the surroundings go, chromosome widths."""
_RIM: Kernel = np.ones((3, 3), np.uint8)
"""By this much beyond its outline a chromosome is still bright."""
_FREE = 0.6
"""Share of the surroundings that must belong to no other instance: between others there is little to see."""


def surround_brightness(regions: Sequence[Contour], stain: Grey, width: float) -> list[float]:
    """How bright the free surroundings of each region are beside the region, 0..1 and more; 0 where few are free.

    Args:
        regions: of one image.
        stain: (H, W) of a normalised photograph.
        width: of its chromosomes, pixels.

    >>> spot = Contour(np.pad(np.ones((6, 6), bool), 1), (16, 16))
    >>> stain = np.full((40, 40), 0.8, np.float32)
    >>> surrounded([spot], stain, 8)
    [1.0]
    >>> stain[17:23, 17:23] = 1.6
    >>> surrounded([spot], stain, 8)
    [0.5]
    """
    reach = max(2, round(_REACH * width))
    disc = np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)), np.uint8)
    bodies = [_grown(region, _RIM) for region in regions]
    taken = np.zeros(stain.shape, np.uint8)
    for body in bodies:
        here, part = body.window(stain.shape)
        taken[here] |= body.mask[part]
    result = []
    for region, body in zip(regions, bodies, strict=True):
        wide = _grown(body, disc)
        wide.mask[reach:-reach, reach:-reach] &= ~body.mask
        around, part = wide.window(stain.shape)
        ring = wide.mask[part]
        free = stain[around][ring & (taken[around] == 0)]
        here, part = region.window(stain.shape)
        inside = stain[here][region.mask[part]]
        few = len(free) < _FREE * np.count_nonzero(ring) or not len(inside)
        result.append(0.0 if few else float(np.median(free) / max(float(np.median(inside)), 1e-3)))
    return result


def _grown(region: Contour, by: Kernel) -> Contour:
    margin = by.shape[0] // 2
    framed = cv2.copyMakeBorder(region.mask.astype(np.uint8), margin, margin, margin, margin, cv2.BORDER_CONSTANT)
    mask = cv2.dilate(framed, by) > 0
    return Contour(mask, (region.origin[0] - margin, region.origin[1] - margin))
