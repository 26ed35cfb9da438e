"""Sister chromatids that stand apart: a cell in which many instances lie beside a twin is seen at too large a scale.

In some preparations, unbanded ones above all, the two chromatids of a chromosome part but at the centromere. Each is as
wide as chromosomes of other cells are, and the width that the foreground shows is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from karyotyping.arrays import Floats
from karyotyping.segmentation.contours import Contour

CHROMOSOME_WIDTH_RATIO = 1.7
"""How wide a chromosome is whose chromatids stand apart, beside the width of one of them."""
_ALIKE = 1.4
"""Largest ratio of the areas of twins."""
_PARALLEL = 0.9
"""Least cosine of the angle between them."""
_LEVEL = 0.2
"""Farthest that one is pushed along the other, as a share of its length."""
_NEAREST, _FARTHEST = 0.7, 1.5
"""How far their axes lie apart, in their widths."""


def sister_share(regions: Sequence[Contour]) -> float:
    """Share of the regions that lie beside one alike, 0..1; 0 if there are none.

    >>> bar = np.zeros((7, 22), bool)
    >>> bar[1:-1, 1:-1] = True
    >>> twin_share([Contour(bar, (0, 0)), Contour(bar, (2, 6)), Contour(bar, (0, 60)), Contour(bar, (30, 64))])
    0.5
    """
    regions = [region for region in regions if region.area > 1]
    if len(regions) < 2:
        return 0.0
    shapes = [_ellipse(region) for region in regions]
    centre, direction = np.array([shape[0] for shape in shapes]), np.array([shape[1] for shape in shapes])
    length, width = np.array([shape[2] for shape in shapes]), np.array([shape[3] for shape in shapes])
    area = np.array([region.area for region in regions], float)
    away = centre[None] - centre[:, None]
    along = np.abs((away * direction[:, None]).sum(axis=2))
    across = np.sqrt(np.maximum((away**2).sum(axis=2) - along**2, 0)) / (0.5 * (width[:, None] + width))
    twins = (
        (np.maximum(area[:, None] / area, area / area[:, None]) < _ALIKE)
        & (np.abs(direction @ direction.T) > _PARALLEL)
        & (along < _LEVEL * length[:, None])
        & (across > _NEAREST)
        & (across < _FARTHEST)
    )
    np.fill_diagonal(twins, val=False)
    return float(twins.any(axis=1).mean())


def _ellipse(region: Contour) -> tuple[Floats, Floats, float, float]:
    """Centre x, y, direction of the long axis, length and width of the ellipse with the moments of a region."""
    y, x = np.nonzero(region.mask)
    spread, axes = np.linalg.eigh(np.cov(x, y) + np.eye(2) / 12)  # a pixel has an extent of its own
    short, long = 4 * np.sqrt(spread)
    return np.array((x.mean() + region.origin[0], y.mean() + region.origin[1])), axes[:, 1], float(long), float(short)
