"""Detect separate sister chromatids by the share of instances with a parallel twin.

In some preparations, mostly unbanded ones, the two chromatids of a chromosome are joined at the centromere only. Each
is as wide as a chromosome of other cells, so the scale estimated from the foreground is that of chromatids.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from karyotyping.arrays import Floats
from karyotyping.segmentation.contours import Contour

CHROMOSOME_WIDTH_RATIO = 1.7  # width of a chromosome with separate chromatids over that of one chromatid

_MAX_AREA_RATIO = 1.4  # of twins
_MIN_COSINE = 0.9  # of the angle between the axes of twins
_MAX_SHIFT = 0.2  # along the axis, share of the length
_MIN_DISTANCE, _MAX_DISTANCE = 0.7, 1.5  # between the axes of twins, mean widths


def sister_share(regions: Sequence[Contour]) -> float:
    """Return the share, 0..1, of regions with a twin: alike, parallel, adjacent.

    >>> bar = np.zeros((7, 22), bool)
    >>> bar[1:-1, 1:-1] = True
    >>> sister_share([Contour(bar, (0, 0)), Contour(bar, (2, 6)), Contour(bar, (0, 60)), Contour(bar, (30, 64))])
    0.5
    """
    regions = [region for region in regions if region.area > 1]
    if len(regions) < 2:
        return 0.0
    ellipses = [_ellipse(region) for region in regions]
    centre, direction = np.array([ellipse[0] for ellipse in ellipses]), np.array([ellipse[1] for ellipse in ellipses])
    length, width = np.array([ellipse[2] for ellipse in ellipses]), np.array([ellipse[3] for ellipse in ellipses])
    area = np.array([region.area for region in regions], float)
    offset = centre[None] - centre[:, None]
    along = np.abs((offset * direction[:, None]).sum(axis=2))
    across = np.sqrt(np.maximum((offset**2).sum(axis=2) - along**2, 0)) / (0.5 * (width[:, None] + width))
    twins = (
        (np.maximum(area[:, None] / area, area / area[:, None]) < _MAX_AREA_RATIO)
        & (np.abs(direction @ direction.T) > _MIN_COSINE)
        & (along < _MAX_SHIFT * length[:, None])
        & (across > _MIN_DISTANCE)
        & (across < _MAX_DISTANCE)
    )
    np.fill_diagonal(twins, val=False)
    return float(twins.any(axis=1).mean())


def _ellipse(region: Contour) -> tuple[Floats, Floats, float, float]:
    """Return the ellipse with the moments of a region.

    Returns:
        (2,) centre x, y; (2,) direction of the long axis; length and width, pixels.
    """
    y, x = np.nonzero(region.mask)
    spread, axes = np.linalg.eigh(np.cov(x, y) + np.eye(2) / 12)  # variance within a pixel
    short, long = 4 * np.sqrt(spread)
    return np.array((x.mean() + region.origin[0], y.mean() + region.origin[1])), axes[:, 1], float(long), float(short)
