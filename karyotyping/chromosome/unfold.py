"""Chromosomes folded like a hairpin, whose arms touch: the light seam between the arms tells them apart.

The outline of such a chromosome is a blob of two arms' width. Across the blob the stain has a valley between the arms,
while bands run all the way across; so a morphological closing along that one direction fills the seam and leaves the
bands, and what it fills is the seam.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.medial_axis import largest_part, principal_direction

_REACH = 0.45
"""Half length of the closing, in widths of an arm: over the seam, not over a gap that the outline shows anyway."""
_DEPTH = 0.12
"""By how much a seam is paler than the arms beside it; a chromosome's typical stain is 1."""


def unfold(stain: NDArray[np.float32], mask: NDArray[np.bool_], width: float) -> NDArray[np.bool_] | None:
    """What of ``mask`` (h, w) is arms of a usual ``width``, without the seam between them; None if there is no seam.

    Where the seam runs through from end to end, as between two chromosomes side by side, one side is left.

    Args:
        stain: (h, w) 0 background, about 1 chromosome.
        mask: the outline; its holes belong to the seam.
        width: of the cell's other chromosomes, pixels.
    """
    blob = largest_part(mask)
    body = cv2.GaussianBlur(np.where(blob, stain, np.float32(0)), (0, 0), 0.6)
    across = 1j * principal_direction(blob)
    reach = max(1, round(_REACH * width))
    line = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    x, y = round(reach * across.real), round(reach * across.imag)
    cv2.line(line, (reach - x, reach - y), (reach + x, reach + y), 1)
    filled = cv2.morphologyEx(body, cv2.MORPH_CLOSE, line) - body
    _, labels, stats, _ = cv2.connectedComponentsWithStats((blob & ((filled > _DEPTH) | ~mask)).view(np.uint8))
    if len(stats) < 2:
        return None
    seam = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    arms: NDArray[np.bool_] = largest_part(blob & ~seam) & ~seam
    return arms
