"""What several looks at one photograph agree on.

A network that tells a chromosome however the photograph is turned is more often right than one that tells it once. Each
look has a vote; what most of them draw is the outline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.segmentation.contours import Contour, overlapping_pairs

_ALIKE = 0.6
"""Two looks tell the same chromosome where their outlines have this IoU at least."""


@dataclass(frozen=True, slots=True)
class Consensus:
    """A region told to be one chromosome."""

    region: Contour
    """Of the pixels that at least half of those who tell it draw."""
    share: float
    """Of the looks that tell it, 0..1."""


def find_consensus(looks: Sequence[Sequence[Contour]]) -> list[Consensus]:
    """Everything that any look tells, each once, what most agree on first.

    Args:
        looks: what each tells, in the pixels of the photograph.

    >>> one, other = (Contour(np.ones((4, w), bool), (0, 0)) for w in (4, 5))
    >>> [(found.share, found.region.area) for found in agreed([[one], [other], [one, Contour(one.mask, (9, 9))]])]
    [(1.0, 16), (0.3333333333333333, 16)]
    """
    regions = [region for look in looks for region in look]
    look_of = [number for number, look in enumerate(looks) for _ in look]
    alike = _alike(regions)
    left = set(range(len(regions)))
    found = []
    while left:
        followers = {k: _followers(k, alike, look_of, left) for k in left}
        best = max(sorted(left), key=lambda k: sum(alike[k][j] for j in followers[k]))
        members = followers[best]
        left -= members
        found.append(Consensus(_majority([regions[k] for k in sorted(members)]), len(members) / len(looks)))
    return sorted(found, key=lambda item: -item.share)


def _alike(regions: Sequence[Contour]) -> list[dict[int, float]]:
    """For each region the IoU of those that are like it, itself among them."""
    area = [region.area for region in regions]
    result: list[dict[int, float]] = [{k: 1.0} for k in range(len(regions))]
    for j, k in overlapping_pairs(regions):
        shared = regions[j].overlap_area(regions[k])
        iou = shared / max(1, area[j] + area[k] - shared)
        if iou >= _ALIKE:
            result[j][k] = result[k][j] = iou
    return result


def _followers(k: int, alike: Sequence[dict[int, float]], look_of: Sequence[int], left: set[int]) -> set[int]:
    """Of every look the region that is most like ``k``."""
    best: dict[int, int] = {}
    for j, iou in alike[k].items():
        if j in left and (look_of[j] not in best or iou > alike[k][best[look_of[j]]]):
            best[look_of[j]] = j
    best[look_of[k]] = k
    return set(best.values())


def _majority(regions: Sequence[Contour]) -> Contour:
    """The pixels that at least half of the regions have."""
    left, top = np.min([region.origin for region in regions], axis=0).tolist()
    ends = [(r.origin[0] + r.mask.shape[1], r.origin[1] + r.mask.shape[0]) for r in regions]
    right, bottom = np.max(ends, axis=0).tolist()
    votes: NDArray[np.int64] = np.zeros((bottom - top, right - left), np.int64)
    for region in regions:
        x, y = region.origin[0] - left, region.origin[1] - top
        h, w = region.mask.shape
        votes[y : y + h, x : x + w] += region.mask
    return Contour(2 * votes >= len(regions), (left, top))
