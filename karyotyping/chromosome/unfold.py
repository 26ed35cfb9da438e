"""Separation of the arms of a folded chromosome along the pale seam between them.

The outline of a chromosome folded like a hairpin is as wide as two arms. Across it the stain has a valley between the
arms, while bands span the whole width. A morphological closing along that direction fills the seam and leaves the bands
unchanged. The filled pixels are the seam.
"""

from __future__ import annotations

import cv2
import numpy as np

from karyotyping.arrays import Bools, Floats32
from karyotyping.chromosome.medial_axis import largest_part, principal_direction

_CLOSING_HALF_LENGTH = 0.45  # arm widths: spans the seam, but not a gap that the outline shows
_MIN_SEAM_DEPTH = 0.12  # stain by which a seam is paler than the arms; a chromosome's typical stain is 1


def unfold(stain: Floats32, mask: Bools, width: float) -> Bools | None:
    """Return the arms within ``mask`` without the seam between them; None without a seam.

    If the seam runs from end to end, as between two adjacent chromosomes, one side is returned.

    Args:
        stain: (h, w) 0 background, about 1 chromosome.
        mask: (h, w) outline; its holes belong to the seam.
        width: median width of the cell's chromosomes, pixels.

    Returns:
        (h, w) membership of the arms.
    """
    blob = largest_part(mask)
    body = cv2.GaussianBlur(np.where(blob, stain, np.float32(0)), (0, 0), 0.6)
    across = 1j * principal_direction(blob)
    reach = max(1, round(_CLOSING_HALF_LENGTH * width))
    line = np.zeros((2 * reach + 1, 2 * reach + 1), np.uint8)
    x, y = round(reach * across.real), round(reach * across.imag)
    cv2.line(line, (reach - x, reach - y), (reach + x, reach + y), 1)
    filled = cv2.morphologyEx(body, cv2.MORPH_CLOSE, line) - body
    _, labels, stats, _ = cv2.connectedComponentsWithStats((blob & ((filled > _MIN_SEAM_DEPTH) | ~mask)).view(np.uint8))
    if len(stats) < 2:
        return None
    seam = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    arms: Bools = largest_part(blob & ~seam) & ~seam
    return arms
