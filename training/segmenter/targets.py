"""What the segmenter's maps should be for simulated fields, and which masks a batch asks it to draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from karyotyping.arrays import Floats32
from karyotyping.segmentation.instance_decoding import (
    AXIS_BINS,
    CORE_DIRECTIONS,
    STRIDE,
    WINDOW_SIDE,
    axis_bins,
    window_origin,
)
from training.segmenter.sample import Sample

_SPREAD = 2.0
"""Standard deviation of the bell about a midpoint, pixels of the maps."""
_TURNED = np.pi / AXIS_BINS / 2
"""Standard deviation of the bell over directions: how much of a midpoint the lanes beside its own see."""
_ASTRAY, _ASKEW = 1, np.radians(8.0)
"""How far, in pixels of the maps, and how much turned a midpoint may be found and must still draw its mask."""
_NEAR = 3
"""Pixels of the tile that a chromosome may end before its midpoint: the axis strays a little in sharp bends."""
_CORE = 2
"""Width of the drawn axis, pixels of the maps; OpenCV adds about one. Half of a chromosome's."""


@dataclass(frozen=True, slots=True)
class Midpoints:
    """Where N axes have half of their length behind them."""

    x: NDArray[np.float64]
    """Pixels of the tile; may lie outside of it."""
    y: NDArray[np.float64]
    direction: NDArray[np.float64]
    """Of the axis there, radians, 0 <= direction < pi."""

    def shown(self, field: Sample) -> NDArray[np.bool_]:
        """(N,) whether the field shows them: they lie in the tile, and what is left of the chromosome reaches them."""
        side = len(field.stain)
        x, y = np.floor(self.x).astype(int), np.floor(self.y).astype(int)
        inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        near = [
            mask[max(0, b - _NEAR) : b + _NEAR + 1, max(0, a - _NEAR) : a + _NEAR + 1].any()
            for mask, a, b in zip(field.masks, np.clip(x, 0, side - 1), np.clip(y, 0, side - 1), strict=True)
        ]
        result: NDArray[np.bool_] = inside & np.array(near, bool)
        return result


@dataclass(frozen=True, slots=True)
class Batch:
    """B fields and what the network should say of them; h and w are those of the maps. N masks are asked for."""

    stain: Tensor
    """(B, 1, H, W)"""
    centre: Tensor
    """(B, AXIS_BINS, h, w): 1 at midpoints, a bell about them."""
    dense: Tensor
    """(B, len(DENSE), h, w): 0..1."""
    known: Tensor
    """(B, 1, h, w): 1 where those two count, 0 where nobody knows what there is."""
    image: Tensor
    """(N,) which field, and lane, row and column (N,) of a place in the maps near a midpoint."""
    lane: Tensor
    row: Tensor
    column: Tensor
    mask: Tensor
    """(N, WINDOW_SIDE, WINDOW_SIDE): share of every pixel of the maps that is the chromosome's."""


def make_batch(fields: Sequence[Sample], random: np.random.Generator, most: int) -> Batch:
    """The fields with their targets; at most ``most`` masks are asked for of each, drawn by ``random``."""
    middles = [find_midpoints(field.axes) for field in fields]
    asked = [sample_masks(field, middle, random, most) for field, middle in zip(fields, middles, strict=True)]
    places = torch.from_numpy(np.concatenate([where for where, _ in asked], axis=1))
    lane, row, column = places
    return Batch(
        stain=torch.from_numpy(np.stack([field.stain for field in fields])[:, None]),
        centre=torch.from_numpy(
            np.stack([centre_map(one, one.shown(f), len(f.stain)) for one, f in zip(middles, fields, strict=True)])
        ),
        dense=torch.from_numpy(np.stack([dense_maps(field) for field in fields])),
        known=torch.from_numpy(np.stack([known_map(field) for field in fields])[:, None]),
        image=torch.arange(len(fields)).repeat_interleave(torch.tensor([len(masks) for _, masks in asked])),
        lane=lane,
        row=row,
        column=column,
        mask=torch.from_numpy(np.concatenate([masks for _, masks in asked])),
    )


def sample_masks(
    field: Sample, middle: Midpoints, random: np.random.Generator, most: int
) -> tuple[NDArray[np.int64], Floats32]:
    """Lane, row and column (3, n) of places near the midpoints of at most ``most`` chromosomes, and their masks.

    Midpoints that the tile does not show are another tile's.
    """
    size = len(field.stain) // STRIDE
    place = np.floor(np.stack([middle.y, middle.x]) / STRIDE).astype(np.int64)
    chosen = random.permutation(np.flatnonzero(middle.shown(field)))[:most]
    astray = random.integers(-_ASTRAY, _ASTRAY + 1, (2, len(chosen)))
    rows, columns = np.clip(place[:, chosen] + astray, 0, size - 1)
    lanes = axis_bins(middle.direction[chosen] + random.normal(0, _ASKEW, len(chosen)))
    masks = np.zeros((len(chosen), WINDOW_SIDE, WINDOW_SIDE), np.float32)
    for mask, k, row, column in zip(masks, chosen, rows.tolist(), columns.tolist(), strict=True):
        top, left = window_origin(row, size), window_origin(column, size)
        mask[:] = _shrunk(field.masks[k])[top : top + WINDOW_SIDE, left : left + WINDOW_SIDE]
    return np.stack([lanes, rows, columns]), masks


def find_midpoints(axes: Floats32) -> Midpoints:
    """The arc-length midpoints of axes (N, K, 2), and the direction of a fifth of the axis about them."""
    steps = np.hypot(*np.moveaxis(np.diff(axes, axis=1), 2, 0))
    along = np.concatenate([np.zeros((len(axes), 1)), np.cumsum(steps, axis=1)], axis=1)

    def at(share: float) -> NDArray[np.float64]:
        places = [
            [np.interp(share * length[-1], length, axis[:, k]) for k in range(2)]
            for length, axis in zip(along, axes, strict=True)
        ]
        return np.array(places, np.float64).reshape(-1, 2)

    middle, chord = at(0.5), at(0.6) - at(0.4)
    return Midpoints(middle[:, 0], middle[:, 1], np.arctan2(chord[:, 1], chord[:, 0]) % np.pi)


def centre_map(middle: Midpoints, shown: NDArray[np.bool_], side: int) -> Floats32:
    """(AXIS_BINS, h, w) of a tile with sides of ``side``: bells about midpoints (CenterNet, Zhou et al. 2019).

    They reach over place and direction. A bell is 1 in the pixel and the lane that hold its midpoint, if it is
    ``shown``, and nowhere else: midpoints just beyond a border are neither wanted nor held against the network.
    """
    size = side // STRIDE
    result = np.zeros((AXIS_BINS, size, size), np.float32)
    grid = np.arange(size)
    own = axis_bins(middle.direction)
    apart = np.abs(middle.direction[:, None] - np.arange(AXIS_BINS) * np.pi / AXIS_BINS)
    turned = np.exp(-0.5 * (np.minimum(apart, np.pi - apart) / _TURNED) ** 2)
    for k, (x, y) in enumerate(zip(np.floor(middle.x / STRIDE), np.floor(middle.y / STRIDE), strict=True)):
        across, down = (np.exp(-0.5 * ((grid - a) / _SPREAD) ** 2) for a in (x, y))
        bell = down[:, None] * across
        for lane in range(AXIS_BINS):
            height = 1.0 if lane == own[k] and shown[k] else min(0.9, turned[k, lane])
            np.maximum(result[lane], height * bell, out=result[lane])
    return result


def dense_maps(field: Sample) -> Floats32:
    """(len(DENSE), h, w): foreground, overlap and boundary, and the axes lifted into their directions."""
    deep = field.masks.sum(axis=0, dtype=np.uint8)
    rim = np.zeros(deep.shape, np.uint8)
    for mask in field.masks.view(np.uint8):
        x, y, w, h = cv2.boundingRect(mask)
        around = np.s_[max(0, y - 1) : y + h + 1, max(0, x - 1) : x + w + 1]
        rim[around] |= cv2.morphologyEx(mask[around], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    plain = np.stack([_shrunk(part) for part in (deep > 0, deep > 1, rim > 0)])
    return np.concatenate([plain, axis_maps(field.axes, len(plain[0]))])


def known_map(field: Sample) -> Floats32:
    """(h, w): 1 where every pixel of the field is known, else 0."""
    known = np.ones(field.stain.shape, bool) if field.known is None else field.known
    return np.asarray(_shrunk(known) == 1, np.float32)


def axis_maps(axes: Floats32, size: int) -> Floats32:
    """(CORE_DIRECTIONS, size, size): axes (N, K, 2), each piece in the two directions that are nearest to its own."""
    result = np.zeros((CORE_DIRECTIONS, size, size), np.float32)
    # Pixel centres of the tile to pixel centres of the maps, in 1/16 of a pixel.
    points = np.round(16 * ((axes + 0.5) / STRIDE - 0.5)).astype(int)
    for axis in points:
        for before, after in pairwise(axis):
            x, y = (after - before).tolist()
            direction = np.arctan2(y, x) % np.pi / (np.pi / CORE_DIRECTIONS)
            for lifted in (int(direction), int(direction) + 1):
                cv2.line(result[lifted % CORE_DIRECTIONS], before.tolist(), after.tolist(), 1.0, _CORE, shift=4)
    return result


def _shrunk(mask: NDArray[np.bool_]) -> Floats32:
    """Share of each pixel of the maps that a mask of the tile covers."""
    size = mask.shape[1] // STRIDE, mask.shape[0] // STRIDE
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
