"""Contours of a normalised photograph: binarise, take out nuclei and debris, keep what may hold chromosomes.

The contour separation of KaryoXpert (Chen et al. 2024, section 3.3.1). Every size is measured in chromosome widths or
in median chromosome areas of the cell at hand, so that objectives and cameras do not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Mask
from karyotyping.image.normalise import Normalised


@dataclass(frozen=True, slots=True)
class ContourParameters:
    """Thresholds are in units of stain; lengths in chromosome widths."""

    floor: float = 0.3
    """Least stain of a foreground pixel."""
    reach: float = 0.8
    """Radius of the window whose darkest and brightest stain the local threshold lies between."""
    fraction: float = 0.5
    """Where it lies between them."""
    nuclei: tuple[tuple[float, float], ...] = ((0.6, 2.0), (0.25, 3.0))
    """Least stain of a nucleus, and radius of the disc that fits into it at least."""
    nucleus_margin: float = 0.4
    """How far beyond its outline the blurred rim of a nucleus reaches."""
    keep_nuclei: bool = False
    """Whether nuclei stay in the contours and are only counted."""
    debris_area: float = 0.2
    """Contours smaller than this many median chromosome areas are debris."""
    min_strength: float = 0.45
    """Contours whose brightest tenth is fainter than this are debris or halo."""


@dataclass(frozen=True, slots=True)
class Contour:
    """A connected region cut out of the image with a margin of background."""

    mask: Mask
    """(h, w)"""
    origin: tuple[int, int]
    """x, y of the crop's upper left corner in the image; may be -1, for the margin."""

    @property
    def area(self) -> int:
        """Pixels."""
        return int(np.count_nonzero(self.mask))

    def window(self, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Its window in an image of this shape, and the same window in its crop; both may be empty."""
        (x, y), (h, w) = self.origin, self.mask.shape
        top, left = min(max(0, y), shape[0]), min(max(0, x), shape[1])
        bottom, right = max(top, min(shape[0], y + h)), max(left, min(shape[1], x + w))
        return np.s_[top:bottom, left:right], np.s_[top - y : bottom - y, left - x : right - x]

    def crop(self, image: NDArray[np.float32]) -> Grey:
        """The same window of an image, 0 beyond its border."""
        here, part = self.window(image.shape)
        result = np.zeros(self.mask.shape, np.float32)
        result[part] = image[here]
        return result

    def overlap_area(self, other: Contour) -> int:
        """Pixels that both regions have."""
        (x, y), (u, v) = self.origin, other.origin
        (h, w), (k, m) = self.mask.shape, other.mask.shape
        left, top, right, bottom = max(x, u), max(y, v), min(x + w, u + m), min(y + h, v + k)
        if right <= left or bottom <= top:
            return 0
        ours = self.mask[top - y : bottom - y, left - x : right - x]
        theirs = other.mask[top - v : bottom - v, left - u : right - u]
        return int(np.count_nonzero(ours & theirs))

    def clipped(self, shape: tuple[int, int]) -> Contour:
        """The region, as far as it lies in an image of this shape, with a margin of one pixel; it may be empty."""
        x, y = self.origin
        mask = self.mask.copy()
        mask[: max(0, -y)], mask[max(0, shape[0] - y) :] = False, False
        mask[:, : max(0, -x)], mask[:, max(0, shape[1] - x) :] = False, False
        left, top, w, h = cv2.boundingRect(mask.astype(np.uint8))
        return Contour(np.pad(mask[top : top + h, left : left + w], 1), (x + left - 1, y + top - 1))

    def pixels(self, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of its pixels in an image of this shape."""
        y, x = np.nonzero(self.mask)
        y, x = y + self.origin[1], x + self.origin[0]
        inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
        return y[inside], x[inside]

    def full_mask(self, shape: tuple[int, int]) -> Mask:
        """The mask in an image of this shape (H, W)."""
        result = np.zeros(shape, bool)
        result[self.pixels(shape)] = True
        return result

    def touches_border(self, shape: tuple[int, int]) -> bool:
        """Whether the region reaches the border of an image of this shape."""
        y, x = np.nonzero(self.mask)
        x, y = x + self.origin[0], y + self.origin[1]
        return bool(x.min() <= 0 or y.min() <= 0 or x.max() >= shape[1] - 1 or y.max() >= shape[0] - 1)


def overlapping_pairs(contours: Sequence[Contour]) -> list[tuple[int, int]]:
    """The pairs whose crops share pixels, each once.

    >>> spot = np.ones((3, 3), bool)
    >>> meeting([Contour(spot, (0, 0)), Contour(spot, (9, 0)), Contour(spot, (2, 2))])
    [(0, 2)]
    """
    first = np.array([contour.origin[::-1] for contour in contours]).reshape(-1, 2)
    last = first + np.array([contour.mask.shape for contour in contours]).reshape(-1, 2)
    meet = ((first[:, None] < last) & (first < last[:, None])).all(axis=2)
    return [(int(j), int(k)) for j, k in np.argwhere(np.triu(meet, 1))]


@dataclass(frozen=True, slots=True)
class Contours:
    """What was found in one image."""

    regions: tuple[Contour, ...]
    """May hold chromosomes, from the upper left to the lower right."""
    nucleus_count: int
    debris_count: int
    typical_area: float
    """Median area of the contours that look like one chromosome, pixels."""


def find_contours(normalised: Normalised, parameters: ContourParameters) -> Contours:
    """Cut a normalised photograph into contours."""
    stain, width = normalised.stain, normalised.width
    nuclei_mask, nuclei = find_nuclei(stain, width, parameters)
    foreground = binarise(stain, width, parameters)
    if not parameters.keep_nuclei:
        foreground &= ~nuclei_mask
    found = connected_regions(foreground, least=max(8.0, 0.1 * width**2))
    typical = typical_area(found, width)
    regions = []
    debris = 0
    for contour in found:
        strength = ninth_decile(contour.crop(stain)[contour.mask])
        if contour.area < parameters.debris_area * typical or strength < parameters.min_strength:
            debris += 1
        else:
            regions.append(contour)
    return Contours(tuple(regions), nuclei, debris, typical)


def ninth_decile(values: NDArray[np.float32]) -> float:
    """As ``np.quantile(values, 0.9)``, which takes a tenth of a millisecond for the few pixels of a chromosome.

    >>> ninth_decile(np.arange(6, dtype=np.float32))
    4.5
    """
    ordered = np.sort(values)
    low, beyond = divmod(0.9 * (len(ordered) - 1), 1)
    around = ordered[int(low) : int(low) + 2]
    return float(around[0] + beyond * (around[-1] - around[0]))


def binarise(stain: Grey, width: float, parameters: ContourParameters) -> Mask:
    """Foreground by the local mid-grey (Bernsen 1986), which follows bright and faint chromosomes alike.

    The local contrast that Bernsen asks for is asked of the stain itself: a pixel below ``floor`` is background.
    """
    radius = max(2, round(parameters.reach * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    smooth = cv2.GaussianBlur(stain, (0, 0), max(0.5, 0.05 * width))
    low, high = cv2.erode(smooth, disc), cv2.dilate(smooth, disc)
    # Both envelopes are blocky; smoothing keeps the outline from following the window's shape.
    low, high = (cv2.GaussianBlur(a, (0, 0), 0.5 * radius) for a in (low, high))
    threshold = low + parameters.fraction * (high - low)
    foreground = (smooth > np.maximum(threshold, parameters.floor)).astype(np.uint8)
    return np.asarray(_fill_pinholes(foreground, 0.1 * width**2), bool)


def _fill_pinholes(foreground: NDArray[np.uint8], largest: float) -> NDArray[np.uint8]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - foreground, connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < largest
    small[0] = False
    return foreground | small[labels].astype(np.uint8) if count > 1 else foreground


def find_nuclei(stain: Grey, width: float, parameters: ContourParameters) -> tuple[Mask, int]:
    """Interphase nuclei: whatever a disc wider than any chromosome fits into, regrown to its rim; and their number.

    A faint nucleus is told from the haze of a tangle by its size, a dense tangle from a nucleus by its dark gaps: the
    fainter, the larger the disc must be.
    """
    mask = np.zeros(stain.shape, bool)
    for least, radii in parameters.nuclei:
        radius = radii * width
        margin = round(radius) + 2  # a nucleus cut by the border goes on behind it
        solid = _fill_pinholes((stain > least).astype(np.uint8), width**2)
        padded = cv2.copyMakeBorder(solid, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
        core = cv2.distanceTransform(padded, cv2.DIST_L2, 5) > radius
        if core.any():
            reach = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
            mask |= (reach < radius + parameters.nucleus_margin * width)[margin:-margin, margin:-margin]
    count, _ = cv2.connectedComponents(mask.astype(np.uint8))
    return mask, count - 1


def connected_regions(foreground: Mask, least: float = 1.0) -> list[Contour]:
    """The 8-connected components of at least ``least`` pixels, each in its own crop with a margin of one pixel."""
    padded = np.pad(foreground, 1).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    result = []
    for label in range(1, count):
        x, y, w, h, area = (int(n) for n in stats[label])
        if area >= least:
            mask = labels[y - 1 : y + h + 1, x - 1 : x + w + 1] == label
            result.append(Contour(mask, (x - 2, y - 2)))
    return result


def typical_area(contours: Sequence[Contour], width: float) -> float:
    """Median area of the contours that are compact enough to be one chromosome; three squared widths if none is."""
    areas = []
    for contour in contours:
        outline = max(
            cv2.findContours(contour.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len
        )
        hull = cv2.contourArea(cv2.convexHull(outline))
        if contour.area > 0.7 * width**2 and cv2.contourArea(outline) > 0.75 * hull:
            areas.append(contour.area)
    return float(np.median(areas)) if len(areas) >= 3 else 3.0 * width**2
