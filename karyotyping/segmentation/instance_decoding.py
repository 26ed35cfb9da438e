"""Decode the segmenter's maps into candidates: detect midpoints, compute a mask for each.

Conditional convolutions compute each mask in a window about its midpoint (CondInst, Tian et al. 2020), so masks may
overlap. Several candidates may be of the same chromosome; :mod:`karyotyping.segmentation.selection` resolves that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from karyotyping.arrays import Floats, Floats32, Ints, Mask
from karyotyping.segmentation.contours import Contour

SEGMENTER = "segmenter"
"""Name of the weights in the registry."""

TRAINING_TILE_SIDE = 256  # px, at a chromosome width of CANONICAL_WIDTH
TILE_SIDE_STEP = 16  # px, sides of all tiles are multiples of it
STRIDE = 2  # px of the tile for one px of the maps
KERNEL_STRIDE = 2  # px of the maps for one px of the kernel and quality maps
AXIS_BINS = 4  # bins of a chromosome axis's direction over 180 degrees; bin 0 is centred on the rows' direction
PROTOTYPES = 8  # maps that masks are computed from
HIDDEN_UNITS = 8  # of the layer between prototypes and mask
WINDOW_SIDE = 96  # px of the maps; the largest extent of a mask
COORDINATE_UNIT = 24.0  # px of the maps for a coordinate of 1
CORE_DIRECTIONS = 12  # bins of the direction of the core maps over 180 degrees

DENSE_MAPS = ("foreground", "overlap", "boundary", *(f"core_{k}" for k in range(CORE_DIRECTIONS)))
"""Names of the ``dense`` maps."""

_OUTSIDE_LOGIT = -12.0


@dataclass(frozen=True, slots=True)
class DecodeParameters:
    """Thresholds of decoding; probabilities and scores are 0..1."""

    midpoint: float = 0.1
    """Least probability of a midpoint."""
    score: float = 0.1
    """Least score of a candidate; lower ones are seldom selected and cost time."""
    most: int = 200
    """Largest number of midpoints of a tile, the most probable ones."""
    inside: float = 0.5
    """Least probability of a mask's pixel."""
    area: int = 10
    """Least area of a mask, px of the maps."""

    @property
    def level(self) -> float:
        """Least logit of a mask's pixel."""
        return float(np.log(self.inside / (1 - self.inside)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """A region that may be one chromosome, in pixels of the maps."""

    region: Contour
    """One connected region with a margin of one pixel; regions of candidates may overlap."""
    logits: Floats32
    """(h, w) of the region's crop, margin included."""
    score: float
    """Probability of the midpoint times the expected IoU of the mask, 0..1."""
    midpoint: tuple[float, float]
    """x, y"""
    cut: bool = False
    """Whether the mask ends at the border of its tile inside the image."""

    def shifted(self, x: int, y: int) -> Candidate:
        """Return the candidate shifted by ``x``, ``y`` pixels of the maps."""
        left, top = self.region.origin
        region = Contour(self.region.mask, (left + x, top + y))
        return replace(self, region=region, midpoint=(self.midpoint[0] + x, self.midpoint[1] + y))


@dataclass(frozen=True, slots=True)
class Midpoints:
    """Midpoints of N chromosome axes, in pixels of the maps."""

    axis_bin: Ints
    row: Ints
    column: Ints
    score: Floats32


def axis_bins(direction: Floats) -> Ints:
    """Return the bins, 0 to ``AXIS_BINS - 1``, of axis directions in radians.

    >>> axis_bins(np.radians([0.0, 50.0, 95.0, 170.0])).tolist()
    [0, 1, 2, 0]
    """
    return np.round(direction / (np.pi / AXIS_BINS)).astype(np.int64) % AXIS_BINS


def decode_instances(
    maps: Mapping[str, Floats32], parameters: DecodeParameters, wanted: Mask | None = None
) -> list[Candidate]:
    """Decode the maps of one tile into candidates, most probable first.

    Args:
        maps: outputs of the segmenter for one tile, without the batch dimension, where (h, w) are pixels of the maps
            and (k, l) those divided by ``KERNEL_STRIDE``: ``centre`` (AXIS_BINS, h, w), ``kernel``
            (AXIS_BINS * P, k, l), ``quality`` (AXIS_BINS, k, l), ``prototypes`` (PROTOTYPES, h, w).
        parameters: thresholds.
        wanted: (h, w) where midpoints may be; None is everywhere.
    """
    found = find_midpoints(maps["centre"], parameters, wanted)
    cells = found.row // KERNEL_STRIDE, found.column // KERNEL_STRIDE
    score = found.score * maps["quality"][found.axis_bin, *cells]
    kernel = maps["kernel"].reshape(AXIS_BINS, -1, *maps["kernel"].shape[1:])[found.axis_bin, :, *cells]
    height, width = maps["centre"].shape[1:]
    candidates = []
    logits = np.full((min(height, WINDOW_SIDE) + 2, min(width, WINDOW_SIDE) + 2), _OUTSIDE_LOGIT, np.float32)
    for k in np.flatnonzero(score >= parameters.score):
        row, column = int(found.row[k]), int(found.column[k])
        logits[1:-1, 1:-1] = mask_logits(kernel[k], mask_inputs(maps["prototypes"], row, column))
        largest = _largest_region(logits > parameters.level)
        if largest is None or largest[1] < parameters.area:
            continue
        mask, (x, y, w, h) = largest[0], largest[2]
        crop = np.s_[y - 1 : y + h + 1, x - 1 : x + w + 1]
        near = cv2.dilate(mask[crop].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        own_logits = np.where(near, logits[crop], _OUTSIDE_LOGIT).astype(np.float32)
        origin = window_origin(column, width) + x - 2, window_origin(row, height) + y - 2
        region = Contour(mask[crop], origin)
        candidates.append(Candidate(region, own_logits, float(score[k]), (column + 0.5, row + 0.5)))
    return candidates


def find_midpoints(centre: Floats32, parameters: DecodeParameters, wanted: Mask | None = None) -> Midpoints:
    """Return the local maxima of the midpoint maps, most probable first.

    Args:
        centre: (AXIS_BINS, h, w) probabilities.
        parameters: least probability, and largest number.
        wanted: (h, w) where midpoints may be; None is everywhere.
    """
    highest = np.stack([cv2.dilate(probability, np.ones((3, 3), np.uint8)) for probability in centre])
    peaks = (centre == highest) & (centre >= parameters.midpoint)
    axis_bin, row, column = np.nonzero(peaks if wanted is None else peaks & wanted)
    score = centre[axis_bin, row, column]
    order = np.argsort(-score, kind="stable")[: parameters.most]
    return Midpoints(axis_bin[order], row[order], column[order], score[order])


def window_origin(middle: int, size: int) -> int:
    """Return the first pixel of the window about ``middle``, inside a side of ``size`` pixels.

    >>> window_origin(10, 128), window_origin(64, 128), window_origin(127, 128)
    (0, 16, 32)
    """
    return max(0, min(middle - WINDOW_SIDE // 2, size - WINDOW_SIDE))


def mask_inputs(prototypes: Floats32, row: int, column: int) -> Floats32:
    """Return what a mask is computed from: prototypes in its window, and x, y coordinates.

    Args:
        prototypes: (PROTOTYPES, h, w) of one tile.
        row: of the midpoint, px of the maps.
        column: of the midpoint, px of the maps.

    Returns:
        (PROTOTYPES + 2, WINDOW_SIDE, WINDOW_SIDE); less high or wide if the tile is.
    """
    top, left = window_origin(row, prototypes.shape[1]), window_origin(column, prototypes.shape[2])
    crop = prototypes[:, top : top + WINDOW_SIDE, left : left + WINDOW_SIDE]
    result = np.empty((len(crop) + 2, *crop.shape[1:]), np.float32)
    result[:-2] = crop
    result[-2] = cell_coordinates(column, left, crop.shape[2])
    result[-1] = cell_coordinates(row, top, crop.shape[1])[:, None]
    return result


def cell_coordinates(middle: int, origin: int, size: int) -> Floats32:
    """Return (size,) coordinates of a window's pixels relative to the centre of a kernel cell.

    Args:
        middle: pixel of the maps inside the cell.
        origin: first pixel of the window.
        size: pixels of the window.
    """
    centre = middle // KERNEL_STRIDE * KERNEL_STRIDE + 0.5 * (KERNEL_STRIDE - 1)
    return ((np.arange(origin, origin + size) - centre) / COORDINATE_UNIT).astype(np.float32)


def mask_logits(kernel: Floats32, inputs: Floats32) -> Floats32:
    """Return (h, w) logits of a mask: a rectified layer of ``HIDDEN_UNITS``, then a linear one.

    Args:
        kernel: (P,) weights and biases of the first layer, then of the second.
        inputs: (PROTOTYPES + 2, h, w) of :func:`mask_inputs`.
    """
    first = HIDDEN_UNITS * len(inputs)
    weights, biases, last = np.split(kernel[:-1], [first, first + HIDDEN_UNITS])
    hidden = np.maximum(weights.reshape(HIDDEN_UNITS, -1) @ inputs.reshape(len(inputs), -1) + biases[:, None], 0)
    logits: Floats32 = (last @ hidden + kernel[-1]).reshape(inputs.shape[1:])
    return logits


def _largest_region(mask: Mask) -> tuple[Mask, int, tuple[int, int, int, int]] | None:
    """Return the largest 8-connected region of a mask, its area and its box x, y, w, h."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, area = (int(n) for n in stats[best])
    return labels == best, area, (x, y, w, h)
