"""Consensus of the detections in several orientations of one image.

A chromosome that the network detects in every orientation is more often right than one that it detects once. Each
orientation has one vote; the outline is that of the majority.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.segmentation.contours import Contour, overlapping_pairs

_MIN_IOU = 0.6  # IoU, 0..1, from which detections in two orientations are of the same chromosome


@dataclass(frozen=True, slots=True)
class Consensus:
    """Region that orientations agree on."""

    region: Contour
    """Pixels of at least half of the detections."""
    share: float
    """Share of the orientations that detect it, 0..1."""


def find_consensus(orientations: Sequence[Sequence[Contour]]) -> list[Consensus]:
    """Return every detected region once, those with the most votes first.

    Args:
        orientations: detections in each orientation, in the pixels of the image.

    >>> one, other = (Contour(np.ones((4, w), bool), (0, 0)) for w in (4, 5))
    >>> [(item.share, item.region.area) for item in find_consensus([[one], [other], [one, Contour(one.mask, (9, 9))]])]
    [(1.0, 16), (0.3333333333333333, 16)]
    """
    regions = [region for detections in orientations for region in detections]
    orientation_of = [number for number, detections in enumerate(orientations) for _ in detections]
    similar = _similar(regions)
    left = set(range(len(regions)))
    consensus = []
    while left:
        voters = {k: _voters(k, similar, orientation_of, left) for k in left}
        best = max(sorted(left), key=lambda k: sum(similar[k][j] for j in voters[k]))
        members = voters[best]
        left -= members
        region = _majority([regions[k] for k in sorted(members)])
        consensus.append(Consensus(region, len(members) / len(orientations)))
    return sorted(consensus, key=lambda item: -item.share)


def _similar(regions: Sequence[Contour]) -> list[dict[int, float]]:
    """Return for each region the IoU of the regions of the same chromosome, itself among them."""
    area = [region.area for region in regions]
    result: list[dict[int, float]] = [{k: 1.0} for k in range(len(regions))]
    for j, k in overlapping_pairs(regions):
        shared = regions[j].overlap_area(regions[k])
        iou = shared / max(1, area[j] + area[k] - shared)
        if iou >= _MIN_IOU:
            result[j][k] = result[k][j] = iou
    return result


def _voters(k: int, similar: Sequence[dict[int, float]], orientation_of: Sequence[int], left: set[int]) -> set[int]:
    """Return the most similar region to ``k`` of each orientation."""
    best: dict[int, int] = {}
    for j, iou in similar[k].items():
        orientation = orientation_of[j]
        if j in left and (orientation not in best or iou > similar[k][best[orientation]]):
            best[orientation] = j
    best[orientation_of[k]] = k
    return set(best.values())


def _majority(regions: Sequence[Contour]) -> Contour:
    """Return the pixels of at least half of the regions."""
    left, top = np.min([region.origin for region in regions], axis=0).tolist()
    ends = [(r.origin[0] + r.mask.shape[1], r.origin[1] + r.mask.shape[0]) for r in regions]
    right, bottom = np.max(ends, axis=0).tolist()
    votes: NDArray[np.int64] = np.zeros((bottom - top, right - left), np.int64)
    for region in regions:
        x, y = region.origin[0] - left, region.origin[1] - top
        h, w = region.mask.shape
        votes[y : y + h, x : x + w] += region.mask
    return Contour(2 * votes >= len(regions), (left, top))
