"""Chromosomes from the segmenter's maps: midpoints are found, and each draws its own mask.

Masks are drawn by conditional convolutions (CondInst, Tian et al. 2020) in a window about the midpoint, so they may
overlap. Several may tell the same chromosome; ``karyotyping.segmentation.selection`` chooses among them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32
from karyotyping.segmentation.contours import Contour

SEGMENTER = "segmenter"
"""Name of the weights."""
TRAINING_TILE_SIDE, TILE_SIDE_STEP = 256, 16
"""Pixels that a side is long of what the segmenter learns from, and of what the sides of a tile that it sees must be
multiples; a chromosome is ``CANONICAL_WIDTH`` wide in it."""
STRIDE, KERNEL_STRIDE = 2, 2
"""Pixels of the tile to one of the maps; of the maps to one of the kernels' map."""
AXIS_BINS = 4
"""Ranges of directions in which midpoints are sought; the first is centred on the rows' direction."""
PROTOTYPES, HIDDEN_UNITS = 8, 8
"""Maps that masks are made of, and units of the hidden layer that makes them."""
WINDOW_SIDE = 96
"""Side of the window in which a mask is drawn, pixels of the maps: no chromosome reaches farther."""
COORDINATE_UNIT = 24.0
"""Pixels of the maps that are a coordinate's unit."""
CORE_DIRECTIONS = 12
"""Into how many directions the core of the chromosomes is lifted."""
DENSE_MAPS = ("foreground", "overlap", "boundary", *(f"core_{k}" for k in range(CORE_DIRECTIONS)))
"""What the maps in ``dense`` say of every pixel."""

_FAR = 12.0
"""Logit of what is certainly outside."""


@dataclass(frozen=True, slots=True)
class DecodeParameters:
    """What is believed; scores are 0..1."""

    midpoint: float = 0.1
    """Least probability of a midpoint."""
    score: float = 0.1
    """Least score of a candidate: the likelier of a chromosome's suffice, and each costs time."""
    most: int = 200
    """Midpoints of a tile that are looked at, the likeliest."""
    inside: float = 0.35
    """Least probability of a pixel of a mask. Below a half, as chromosomes are drawn a little wider by people."""
    area: int = 10
    """Least area of a mask, pixels of the maps."""

    @property
    def level(self) -> float:
        """The logit from which on a pixel is inside."""
        return float(np.log(self.inside / (1 - self.inside)))


@dataclass(frozen=True, slots=True)
class Candidate:
    """What may be one chromosome, in the pixels of the maps."""

    region: Contour
    """One connected region, with a margin of a pixel; those of others may overlap it."""
    logits: Floats32
    """(h, w) of the region's pixels, margin and all."""
    score: float
    """Probability of the midpoint times the IoU that the mask is expected to reach, 0..1."""
    midpoint: tuple[float, float]
    """x, y"""

    def shifted(self, x: int, y: int) -> Candidate:
        """The same in maps whose corner lies ``x`` to the left and ``y`` above."""
        left, top = self.region.origin
        region = Contour(self.region.mask, (left + x, top + y))
        return replace(self, region=region, midpoint=(self.midpoint[0] + x, self.midpoint[1] + y))


@dataclass(frozen=True, slots=True)
class Midpoints:
    """N places where a chromosome's axis has its middle, in pixels of the maps."""

    axis_bin: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    score: Floats32


def axis_bins(direction: NDArray[np.float64]) -> NDArray[np.int64]:
    """The lanes in which axes of these directions, radians, are sought.

    >>> lanes_of(np.radians([0.0, 50.0, 95.0, 170.0])).tolist()
    [0, 1, 2, 0]
    """
    return np.round(direction / (np.pi / AXIS_BINS)).astype(np.int64) % AXIS_BINS


def decode_instances(
    maps: Mapping[str, Floats32], parameters: DecodeParameters, wanted: NDArray[np.bool_] | None = None
) -> list[Candidate]:
    """What may be chromosomes in one tile, likeliest first; some tell the same one again.

    Args:
        maps: what the segmenter gives for the tile, without the batch dimension: ``centre`` (AXIS_BINS, h, w), ``kernel``
            (AXIS_BINS * P, h / KERNEL_STRIDE, w / KERNEL_STRIDE), ``quality`` (AXIS_BINS, h / KERNEL_STRIDE, w / KERNEL_STRIDE), ``prototypes`` (PROTOTYPES, h, w).
        parameters: what is believed.
        wanted: (h, w) where midpoints are looked for; everywhere by default.
    """
    found = find_midpoints(maps["centre"], parameters, wanted)
    cells = found.row // KERNEL_STRIDE, found.column // KERNEL_STRIDE
    score = found.score * maps["quality"][found.axis_bin, *cells]
    kernel = maps["kernel"].reshape(AXIS_BINS, -1, *maps["kernel"].shape[1:])[found.axis_bin, :, *cells]
    height, width = maps["centre"].shape[1:]
    candidates = []
    drawn = np.full((min(height, WINDOW_SIDE) + 2, min(width, WINDOW_SIDE) + 2), -_FAR, np.float32)
    for k in np.flatnonzero(score >= parameters.score):
        row, column = int(found.row[k]), int(found.column[k])
        drawn[1:-1, 1:-1] = mask_logits(kernel[k], mask_inputs(maps["prototypes"], row, column))
        region = _largest_region(drawn > parameters.level)
        if region is None or region[1] < parameters.area:
            continue
        mask, (x, y, w, h) = region[0], region[2]
        cut = np.s_[y - 1 : y + h + 1, x - 1 : x + w + 1]
        near = cv2.dilate(mask[cut].astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        logits = np.where(near, drawn[cut], -_FAR).astype(np.float32)
        origin = window_origin(column, width) + x - 2, window_origin(row, height) + y - 2
        candidates.append(Candidate(Contour(mask[cut], origin), logits, float(score[k]), (column + 0.5, row + 0.5)))
    return candidates


def find_midpoints(
    centre: Floats32, parameters: DecodeParameters, wanted: NDArray[np.bool_] | None = None
) -> Midpoints:
    """The peaks of every lane of ``centre`` (AXIS_BINS, h, w) where they are ``wanted`` (h, w), likeliest first."""
    highest = np.stack([cv2.dilate(lane, np.ones((3, 3), np.uint8)) for lane in centre])
    peaks = (centre == highest) & (centre >= parameters.midpoint)
    lane, row, column = np.nonzero(peaks if wanted is None else peaks & wanted)
    score = centre[lane, row, column]
    order = np.argsort(-score, kind="stable")[: parameters.most]
    return Midpoints(lane[order], row[order], column[order], score[order])


def window_origin(middle: int, size: int) -> int:
    """Where the window about ``middle`` begins on a side of ``size``: it never leaves the tile."""
    return max(0, min(middle - WINDOW_SIDE // 2, size - WINDOW_SIDE))


def mask_inputs(prototypes: Floats32, row: int, column: int) -> Floats32:
    """What a mask is drawn from: (PROTOTYPES + 2, WINDOW_SIDE, WINDOW_SIDE) prototypes, and coordinates x, y about the cell."""
    top, left = window_origin(row, prototypes.shape[1]), window_origin(column, prototypes.shape[2])
    cut = prototypes[:, top : top + WINDOW_SIDE, left : left + WINDOW_SIDE]
    result = np.empty((len(cut) + 2, *cut.shape[1:]), np.float32)
    result[:-2] = cut
    result[-2] = cell_coordinates(column, left, cut.shape[2])
    result[-1] = cell_coordinates(row, top, cut.shape[1])[:, None]
    return result


def cell_coordinates(middle: int, origin: int, size: int) -> Floats32:
    """Places in a window of ``size`` seen from the middle of the cell that ``middle`` lies in."""
    return (
        (np.arange(origin, origin + size) - (middle // KERNEL_STRIDE * KERNEL_STRIDE + 0.5 * (KERNEL_STRIDE - 1)))
        / COORDINATE_UNIT
    ).astype(np.float32)


def mask_logits(kernel: Floats32, seen: Floats32) -> Floats32:
    """Logits of a mask: a layer with ``HIDDEN_UNITS`` rectified units and a linear one, their weights in ``kernel`` (P,)."""
    first = HIDDEN_UNITS * len(seen)
    weights, biases, last = np.split(kernel[:-1], [first, first + HIDDEN_UNITS])
    inner = np.maximum(weights.reshape(HIDDEN_UNITS, -1) @ seen.reshape(len(seen), -1) + biases[:, None], 0)
    drawn: Floats32 = (last @ inner + kernel[-1]).reshape(seen.shape[1:])
    return drawn


def _largest_region(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], int, tuple[int, int, int, int]] | None:
    """The largest connected region of a mask, its area and its box: chromosomes come in one piece."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    x, y, w, h, area = (int(n) for n in stats[best])
    return labels == best, area, (x, y, w, h)
