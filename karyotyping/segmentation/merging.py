"""Merge contours that a pale band separated.

In G-banded chromosomes a pale band may be fainter than the threshold that separates neighbours. Looser thresholds are
tried in turn. Contours that one of them connects into exactly one whole chromosome are merged.
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

_PAD = 2  # px of background around the looser foreground


@dataclass(frozen=True, slots=True)
class MergeParameters:
    """Looser thresholds, and limits of a merged contour."""

    fractions: tuple[float, ...] = (0.4, 0.3, 0.2)
    """Values of ``ContourParameters.fraction``, in order."""
    floor: float = 0.2
    """Largest ``ContourParameters.floor``."""
    slack: float = 0.5
    """Largest penalty of a merged contour, log odds."""
    most: int = 4
    """Largest number of contours in one merged contour."""
    large: float = 3.2
    """Largest area of a merged contour, median chromosome areas."""


def merge_fragments(
    found: Contours,
    normalised: Normalised,
    contours: ContourParameters,
    splitting: SplitParameters,
    parameters: MergeParameters,
) -> Contours:
    """Replace the fragments of a chromosome by one contour, and update the typical area.

    Args:
        found: contours of one image.
        normalised: the image; light-on-dark images are returned unchanged.
        contours: parameters of ``found``.
        splitting: terms of the log odds that a region is one whole chromosome.
        parameters: looser thresholds and limits.
    """
    if normalised.polarity == "light_on_dark":  # DAPI and Q-bands are never that faint, so gaps are borders
        return found
    any_size = replace(splitting, large=1e9)  # fragments lower the typical area, so shape alone proposes
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
    """Group the regions by the contour of a looser foreground that contains them.

    Returns:
        The containing contour and its regions; a region that no contour contains is its own group.
    """
    _, raw, stats, _ = cv2.connectedComponentsWithStats(np.pad(looser, _PAD).astype(np.uint8), connectivity=8)
    labels = np.asarray(raw, np.int32)
    groups: dict[int, list[Contour]] = {}
    for index, region in enumerate(regions):
        groups.setdefault(_label_of(region, labels) or -1 - index, []).append(region)
    return [
        (_crop_label(labels, stats[label], label) if label > 0 and len(group) > 1 else group[0], group)
        for label, group in groups.items()
    ]


def _label_of(region: Contour, labels: NDArray[np.int32]) -> int:
    """Return the most frequent label of a region in a padded image; 0 for none."""
    x, y = region.origin[0] + _PAD, region.origin[1] + _PAD
    h, w = region.mask.shape
    window = labels[max(0, y) : y + h, max(0, x) : x + w]
    mask = region.mask[max(0, -y) :, max(0, -x) :][: window.shape[0], : window.shape[1]]
    return int(np.bincount(window[mask]).argmax()) if mask.any() else 0


def _crop_label(labels: NDArray[np.int32], box: Sequence[int], label: int) -> Contour:
    """Return a component of a padded image as a contour; ``box`` starts with x, y, w, h."""
    x, y, w, h = (int(n) for n in box[:4])
    mask: Mask = labels[y - 1 : y + h + 1, x - 1 : x + w + 1] == label
    return Contour(mask, (x - 1 - _PAD, y - 1 - _PAD))
