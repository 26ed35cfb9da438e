"""Contours of a normalised metaphase image: binarise, remove nuclei and debris.

The contour separation of KaryoXpert (Chen et al. 2024, section 3.3.1). Sizes are in chromosome widths or in median
chromosome areas of the cell, so that they do not depend on objective and camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32, Grey, Mask
from karyotyping.image.normalise import Normalised

T = TypeVar("T", bound=np.generic)

_MIN_COMPACT_AREA = 0.7  # squared chromosome widths
_MIN_SOLIDITY = 0.75  # contour area over area of its convex hull
_DEFAULT_AREA = 3.0  # squared chromosome widths of one chromosome
_MAX_PINHOLE_AREA = 0.1  # squared chromosome widths
_BRIGHT_NUCLEUS = 1.5  # stain, 0..2; that of chromosomes is about 1
_BRIGHT_RADIUS = 1.5  # chromosome widths, of the disc that fits into such a nucleus
_MIN_AREA = 0.1  # squared chromosome widths of a contour


@dataclass(frozen=True, slots=True)
class ContourParameters:
    """Thresholds in units of stain, lengths in chromosome widths."""

    floor: float = 0.3
    """Least stain of a foreground pixel."""
    reach: float = 0.8
    """Radius of the window whose darkest and brightest stain bound the local threshold."""
    fraction: float = 0.5
    """Position of the local threshold between both, 0..1."""
    nuclei: tuple[tuple[float, float], ...] = ((0.6, 2.0), (0.25, 3.0))
    """Pairs of least stain of a nucleus and least radius of its inscribed disc."""
    nucleus_margin: float = 0.4
    """Width of the blurred rim of a nucleus."""
    keep_nuclei: bool = False
    """Whether nuclei stay in the contours and are only counted."""
    debris_area: float = 0.2
    """Contours below this area are debris, median chromosome areas."""
    min_strength: float = 0.45
    """Contours whose ninth decile of stain is below this are debris or halo."""


@dataclass(frozen=True, slots=True)
class Contour:
    """A connected region, cropped from the image with a margin of background."""

    mask: Mask
    """(h, w)"""
    origin: tuple[int, int]
    """x, y of the crop's upper left corner in the image; negative where the margin crosses the border."""

    @property
    def area(self) -> int:
        """Pixels of the region."""
        return int(np.count_nonzero(self.mask))

    def window(self, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return matching slices of an image of this shape and of the crop; both may be empty."""
        (x, y), (h, w) = self.origin, self.mask.shape
        top, left = min(max(0, y), shape[0]), min(max(0, x), shape[1])
        bottom, right = max(top, min(shape[0], y + h)), max(left, min(shape[1], x + w))
        return np.s_[top:bottom, left:right], np.s_[top - y : bottom - y, left - x : right - x]

    def crop(self, image: Grey) -> Grey:
        """Return the (h, w) crop of an image, 0 beyond its border."""
        in_image, in_crop = self.window(image.shape)
        result = np.zeros(self.mask.shape, np.float32)
        result[in_crop] = image[in_image]
        return result

    def overlap_area(self, other: Contour) -> int:
        """Return the number of pixels that both regions share."""
        (x, y), (u, v) = self.origin, other.origin
        (h, w), (k, m) = self.mask.shape, other.mask.shape
        left, top, right, bottom = max(x, u), max(y, v), min(x + w, u + m), min(y + h, v + k)
        if right <= left or bottom <= top:
            return 0
        ours = self.mask[top - y : bottom - y, left - x : right - x]
        theirs = other.mask[top - v : bottom - v, left - u : right - u]
        return int(np.count_nonzero(ours & theirs))

    def clipped(self, shape: tuple[int, int]) -> Contour:
        """Return the region inside an image of this shape, with a margin of one pixel."""
        x, y = self.origin
        mask = self.mask.copy()
        mask[: max(0, -y)], mask[max(0, shape[0] - y) :] = False, False
        mask[:, : max(0, -x)], mask[:, max(0, shape[1] - x) :] = False, False
        left, top, w, h = cv2.boundingRect(mask.astype(np.uint8))
        return Contour(np.pad(mask[top : top + h, left : left + w], 1), (x + left - 1, y + top - 1))

    def pixels(self, shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return rows and columns of the region's pixels inside an image of this shape."""
        y, x = np.nonzero(self.mask)
        y, x = y + self.origin[1], x + self.origin[0]
        inside = (x >= 0) & (y >= 0) & (x < shape[1]) & (y < shape[0])
        return y[inside], x[inside]

    def full_mask(self, shape: tuple[int, int]) -> Mask:
        """Return the region as an (H, W) mask of an image of this shape."""
        result = np.zeros(shape, bool)
        in_image, in_crop = self.window(shape)
        result[in_image] = self.mask[in_crop]
        return result

    def values(self, image: NDArray[T]) -> NDArray[T]:
        """Return the values (n,) of an (H, W) image at the region's pixels inside it."""
        in_image, in_crop = self.window(image.shape)
        return image[in_image][self.mask[in_crop]]

    def share_in(self, mask: Mask) -> float:
        """Return the share of the region's pixels, 0..1, inside an (H, W) mask; 0 beyond the image."""
        inside = self.values(mask)
        return float(inside.mean()) if len(inside) else 0.0

    def touches_border(self, shape: tuple[int, int]) -> bool:
        """Return whether the region reaches the border of an image of this shape."""
        y, x = np.nonzero(self.mask)
        x, y = x + self.origin[0], y + self.origin[1]
        return bool(x.min() <= 0 or y.min() <= 0 or x.max() >= shape[1] - 1 or y.max() >= shape[0] - 1)


def overlapping_pairs(contours: Sequence[Contour]) -> list[tuple[int, int]]:
    """Return index pairs ``j < k`` of contours whose crops overlap.

    >>> spot = np.ones((3, 3), bool)
    >>> overlapping_pairs([Contour(spot, (0, 0)), Contour(spot, (9, 0)), Contour(spot, (2, 2))])
    [(0, 2)]
    """
    first = np.array([contour.origin[::-1] for contour in contours]).reshape(-1, 2)
    last = first + np.array([contour.mask.shape for contour in contours]).reshape(-1, 2)
    before = (first[:, None, 0] < last[:, 0]) & (first[:, None, 1] < last[:, 1])
    return [(j, k) for j, k in np.argwhere(np.triu(before & before.T, 1)).tolist()]


def join_regions(regions: Sequence[Contour], gap: int) -> Contour:
    """Return the union of regions, across gaps of so many pixels.

    >>> spot = np.ones((3, 3), bool)
    >>> join_regions([Contour(spot, (0, 0)), Contour(spot, (4, 0))], 2).area
    19
    """
    margin = gap + 1
    left, top = np.min([region.origin for region in regions], axis=0) - margin
    ends = [np.add(region.origin, region.mask.shape[::-1]) for region in regions]
    right, bottom = np.max(ends, axis=0) + margin
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for region in regions:
        (x, y), (h, w) = np.subtract(region.origin, (left, top)), region.mask.shape
        mask[y : y + h, x : x + w] |= region.mask.view(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (gap + 1, gap + 1))
    return Contour(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc) > 0, (int(left), int(top)))


def shared_areas(contours: Sequence[Contour]) -> list[dict[int, int]]:
    """Return for each contour the pixels that it shares with others, by their index.

    >>> spot = np.ones((3, 3), bool)
    >>> shared_areas([Contour(spot, (0, 0)), Contour(spot, (9, 0)), Contour(spot, (2, 2))])
    [{2: 1}, {}, {0: 1}]
    """
    result: list[dict[int, int]] = [{} for _ in contours]
    for j, k in overlapping_pairs(contours):
        if shared := contours[j].overlap_area(contours[k]):
            result[j][k] = result[k][j] = shared
    return result


@dataclass(frozen=True, slots=True)
class Contours:
    """The contours of one image."""

    regions: tuple[Contour, ...]
    """Candidates for chromosomes and clusters, from the upper left to the lower right."""
    nucleus_count: int
    debris_count: int
    typical_area: float
    """Median area of the contours compact enough for one chromosome, pixels."""


def find_contours(normalised: Normalised, parameters: ContourParameters) -> Contours:
    """Segment a normalised image into contours, nuclei and debris."""
    stain, width = normalised.stain, normalised.width
    nuclei_mask, nucleus_count = find_nuclei(stain, width, parameters)
    foreground = binarise(stain, width, parameters)
    if not parameters.keep_nuclei:
        foreground &= ~nuclei_mask
    contours = connected_regions(foreground, min_area=max(8.0, _MIN_AREA * width**2))
    typical = typical_area(contours, width)
    regions = []
    debris_count = 0
    for contour in contours:
        strength = ninth_decile(contour.crop(stain)[contour.mask])
        if contour.area < parameters.debris_area * typical or strength < parameters.min_strength:
            debris_count += 1
        else:
            regions.append(contour)
    return Contours(tuple(regions), nucleus_count, debris_count, typical)


def ninth_decile(values: Floats32) -> float:
    """Return ``np.quantile(values, 0.9)``, faster for the few pixels (N,) of a chromosome.

    >>> ninth_decile(np.arange(6, dtype=np.float32))
    4.5
    """
    ordered = np.sort(values)
    low, fraction = divmod(0.9 * (len(ordered) - 1), 1)
    pair = ordered[int(low) : int(low) + 2]
    return float(pair[0] + fraction * (pair[-1] - pair[0]))


def binarise(stain: Grey, width: float, parameters: ContourParameters) -> Mask:
    """Return the foreground by a local mid-grey threshold (Bernsen 1986).

    The threshold follows bright and faint chromosomes alike. The stain itself replaces Bernsen's test of local
    contrast: a pixel below ``parameters.floor`` is background.

    Args:
        stain: (H, W) of a normalised image.
        width: chromosome width, pixels.
        parameters: window and thresholds.
    """
    radius = max(2, round(parameters.reach * width))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    smooth = cv2.GaussianBlur(stain, (0, 0), max(0.5, 0.05 * width))
    low, high = cv2.erode(smooth, disc), cv2.dilate(smooth, disc)
    # Blocky envelopes would print the window's shape on the outlines.
    low, high = (cv2.GaussianBlur(a, (0, 0), 0.5 * radius) for a in (low, high))
    threshold = low + parameters.fraction * (high - low)
    foreground = (smooth > np.maximum(threshold, parameters.floor)).astype(np.uint8)
    return np.asarray(_fill_pinholes(foreground, _MAX_PINHOLE_AREA * width**2), bool)


def _fill_pinholes(foreground: NDArray[np.uint8], max_area: float) -> NDArray[np.uint8]:
    labels = np.asarray(cv2.connectedComponents(1 - foreground, connectivity=4)[1], np.int32)
    small = np.bincount(labels.ravel()) < max_area
    small[0] = False
    return foreground | small[np.asarray(labels)].view(np.uint8)


def find_nuclei(stain: Grey, width: float, parameters: ContourParameters) -> tuple[Mask, int]:
    """Detect interphase nuclei by the disc that fits into them, and grow them to their rim.

    Size separates a faint nucleus from the haze of a cluster, dark gaps separate a dense cluster from a nucleus.
    Fainter nuclei therefore need larger discs. Nuclei far brighter than chromosomes are found whole.

    Args:
        stain: (H, W) of a normalised image.
        width: chromosome width, pixels.
        parameters: pairs of stain and radius.

    Returns:
        The (H, W) mask of all nuclei, and their number.
    """
    mask = bright_nuclei(stain, width) if parameters.nuclei else np.zeros(stain.shape, bool)
    for min_stain, relative_radius in parameters.nuclei:
        radius = relative_radius * width
        solid = _fill_pinholes((stain > min_stain).astype(np.uint8), width**2)
        mask |= _near_core(solid, radius, radius + parameters.nucleus_margin * width)
    count, _ = cv2.connectedComponents(mask.astype(np.uint8))
    return mask, count - 1


def bright_nuclei(stain: Grey, width: float) -> Mask:
    """Return the nuclei far brighter than chromosomes, with their corners (H, W).

    The corners of a nucleus that a border cuts are narrower than its disc. No chromosome is visible there.

    Args:
        stain: (H, W) of a normalised image.
        width: chromosome width, pixels.
    """
    bright = (stain > _BRIGHT_NUCLEUS).astype(np.uint8)
    core = _near_core(_fill_pinholes(bright, width**2), _BRIGHT_RADIUS * width, 1.0)
    if not core.any():
        return core
    labels = cv2.connectedComponents(bright)[1]
    return np.asarray(np.isin(labels, np.unique(labels[core & (bright > 0)])))


def _near_core(solid: NDArray[np.uint8], radius: float, reach: float) -> Mask:
    """Return the pixels nearer than ``reach`` to centres of discs of ``radius`` in ``solid``."""
    margin = round(radius) + 2  # a nucleus cut by the border continues beyond it
    padded = cv2.copyMakeBorder(solid, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    side = 2 * int(radius / 1.5) + 1  # of a square that each such disc contains; most images have none of either
    if not cv2.erode(padded, np.ones((side, side), np.uint8)).any():
        return np.zeros(solid.shape, bool)
    core = cv2.distanceTransform(padded, cv2.DIST_L2, 5) > radius
    if not core.any():
        return np.zeros(solid.shape, bool)
    distance = cv2.distanceTransform((~core).astype(np.uint8), cv2.DIST_L2, 5)
    return np.asarray(distance < reach)[margin:-margin, margin:-margin]


def connected_regions(foreground: Mask, min_area: float = 1.0) -> list[Contour]:
    """Return the 8-connected components of a mask, each with a margin of one pixel.

    Args:
        foreground: (H, W).
        min_area: least area of a component, pixels.

    >>> [region.origin for region in connected_regions(np.eye(2, dtype=bool))]
    [(-1, -1)]
    """
    padded = np.pad(foreground, 1).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(padded, connectivity=8)
    result = []
    for label in range(1, count):
        x, y, w, h, area = (int(n) for n in stats[label])
        if area >= min_area:
            mask = labels[y - 1 : y + h + 1, x - 1 : x + w + 1] == label
            result.append(Contour(mask, (x - 2, y - 2)))
    return result


def typical_area(contours: Sequence[Contour], width: float) -> float:
    """Return the median area of the contours compact enough for one chromosome, pixels.

    Args:
        contours: of one image.
        width: chromosome width, pixels.

    Returns:
        ``3 * width**2`` if fewer than three contours are compact.
    """
    areas = []
    for contour in contours:
        outline = max(
            cv2.findContours(contour.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=len
        )
        hull = cv2.contourArea(cv2.convexHull(outline))
        if contour.area > _MIN_COMPACT_AREA * width**2 and cv2.contourArea(outline) > _MIN_SOLIDITY * hull:
            areas.append(contour.area)
    return float(np.median(areas)) if len(areas) >= 3 else _DEFAULT_AREA * width**2
