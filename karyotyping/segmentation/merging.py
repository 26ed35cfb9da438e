"""Put contours together again that pale bands tore apart.

In G-banded chromosomes a pale band can be fainter than the threshold that parts neighbours. Looser thresholds are tried
in turn: where one connects several contours into what looks like exactly one whole chromosome, they become one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Mask
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour, ContourParameters, Contours, binarise, typical_area
from karyotyping.segmentation.splitting import SplitParameters, whole_log_odds


@dataclass(frozen=True, slots=True)
class MergeParameters:
    """Looser thresholds: ``floor`` and ``fraction`` of ``ContourParameters``."""

    fractions: tuple[float, ...] = (0.4, 0.3, 0.2)
    floor: float = 0.2
    slack: float = 0.5
    """Log odds that a rejoined contour may miss of a faultless one's."""
    most: int = 4
    """Contours that may become one."""
    large: float = 3.2
    """Most median chromosome areas of a rejoined contour."""


def merge_fragments(
    found: Contours,
    normalised: Normalised,
    contours: ContourParameters,
    splitting: SplitParameters,
    parameters: MergeParameters,
) -> Contours:
    """The contours with the torn ones replaced by whole ones, and the typical area that follows from them.

    Args:
        found: contours of one image.
        normalised: the image.
        contours: how the contours were found.
        splitting: how a whole chromosome is told.
        parameters: how loose the thresholds may become.
    """
    if normalised.polarity == "light_on_dark":  # DAPI and Q-bands are never that faint; there a dark gap is a gap
        return found
    # Fragments pull the typical area down, so that every size looks too large at first: shape alone proposes.
    any_size = replace(splitting, large=1e9)
    for fraction in parameters.fractions:
        looser = replace(contours, fraction=fraction, floor=min(contours.floor, parameters.floor))
        groups = _grouped(found.regions, binarise(normalised.stain, normalised.width, looser))
        wholes = {
            k: whole
            for k, (whole, group) in enumerate(groups)
            if 1 < len(group) <= parameters.most
            and whole_log_odds(whole.mask, normalised.width, found.typical_area, any_size)
            > splitting.whole - parameters.slack
        }
        proposed = [r for k, (_, group) in enumerate(groups) for r in ([wholes[k]] if k in wholes else group)]
        area = max(found.typical_area, typical_area(proposed, normalised.width))
        regions: list[Contour] = []
        for k, (_, group) in enumerate(groups):
            fits = k in wholes and wholes[k].area < parameters.large * area
            regions += [wholes[k]] if fits else group
        found = replace(found, regions=tuple(regions), typical_area=area if wholes else found.typical_area)
    return found


def _grouped(regions: Sequence[Contour], looser: Mask) -> list[tuple[Contour, list[Contour]]]:
    """The regions by the contour of a looser foreground that they lie in; one that lies in none is its own group."""
    _, raw, stats, _ = cv2.connectedComponentsWithStats(np.pad(looser, 2).astype(np.uint8), connectivity=8)
    labels = np.asarray(raw, np.int32)
    groups: dict[int, list[Contour]] = {}
    for index, region in enumerate(regions):
        groups.setdefault(_label_of(region, labels) or -1 - index, []).append(region)
    return [
        (_cut_out(labels, stats[label], label) if label > 0 and len(group) > 1 else group[0], group)
        for label, group in groups.items()
    ]


def _label_of(region: Contour, labels: NDArray[np.int32]) -> int:
    """The label, in an image with a margin of two pixels, that most of a region lies in; 0 for none."""
    x, y = region.origin[0] + 2, region.origin[1] + 2
    h, w = region.mask.shape
    window = labels[max(0, y) : y + h, max(0, x) : x + w]
    mask = region.mask[max(0, -y) :, max(0, -x) :][: window.shape[0], : window.shape[1]]
    return int(np.bincount(window[mask]).argmax()) if mask.any() else 0


def _cut_out(
    labels: NDArray[np.int32],
    box: Sequence[int],
    label: int,
) -> Contour:
    x, y, w, h = (int(n) for n in box[:4])
    mask: Mask = labels[y - 1 : y + h + 1, x - 1 : x + w + 1] == label
    return Contour(mask, (x - 3, y - 3))
