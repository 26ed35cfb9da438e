"""Targets of the segmenter: its maps for samples, and the masks that a batch draws."""

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

_MIDPOINT_SIGMA = 2.0  # px of the maps, standard deviation of the Gaussian at a midpoint
_DIRECTION_SIGMA = np.pi / AXIS_BINS / 2  # rad, standard deviation of the Gaussian over directions
_POSITION_JITTER = 1  # px of the maps, largest shift of a midpoint that must still draw its mask
_DIRECTION_JITTER = np.radians(8.0)  # rad, standard deviation of its rotation
_MIDPOINT_TOLERANCE = 3  # px of the tile between midpoint and mask, at most: axes deviate in sharp bends
_AXIS_THICKNESS = 2  # px of the maps, of the drawn axis; OpenCV adds about one; half of a chromosome's width


@dataclass(frozen=True, slots=True)
class Midpoints:
    """Arc-length midpoints of N axes."""

    x: NDArray[np.float64]
    """(N,) pixels of the tile; may be outside of it."""
    y: NDArray[np.float64]
    """(N,) likewise."""
    direction: NDArray[np.float64]
    """(N,) direction of the axis there, radians, 0 <= direction < pi."""

    def visible_in(self, sample: Sample) -> NDArray[np.bool_]:
        """Return (N,) whether each midpoint is on the visible part of its chromosome."""
        side = len(sample.stain)
        x, y = np.floor(self.x).astype(int), np.floor(self.y).astype(int)
        inside = (x >= 0) & (x < side) & (y >= 0) & (y < side)
        near = [
            mask[
                max(0, b - _MIDPOINT_TOLERANCE) : b + _MIDPOINT_TOLERANCE + 1,
                max(0, a - _MIDPOINT_TOLERANCE) : a + _MIDPOINT_TOLERANCE + 1,
            ].any()
            for mask, a, b in zip(sample.masks, np.clip(x, 0, side - 1), np.clip(y, 0, side - 1), strict=True)
        ]
        result: NDArray[np.bool_] = inside & np.array(near, bool)
        return result


@dataclass(frozen=True, slots=True)
class Batch:
    """B samples with their targets on maps of h x w pixels, and N masks to draw."""

    stain: Tensor
    """(B, 1, H, W) float32."""
    centre: Tensor
    """(B, AXIS_BINS, h, w) 1 at midpoints, with a Gaussian around them."""
    dense: Tensor
    """(B, len(DENSE_MAPS), h, w) 0..1."""
    known: Tensor
    """(B, 1, h, w) 1 where ``centre`` and ``dense`` are known, else 0."""
    image: Tensor
    """(N,) index of the sample."""
    axis_bin: Tensor
    """(N,) bin of the direction near the midpoint."""
    row: Tensor
    """(N,) row near the midpoint, pixels of the maps."""
    column: Tensor
    """(N,) column near the midpoint, pixels of the maps."""
    mask: Tensor
    """(N, WINDOW_SIDE, WINDOW_SIDE) share of each pixel of the maps that the chromosome covers."""


def make_batch(samples: Sequence[Sample], random: np.random.Generator, max_masks: int) -> Batch:
    """Return samples with their targets.

    Args:
        samples: samples of one size.
        random: source of randomness.
        max_masks: masks to draw of each sample, at most.
    """
    midpoints = [find_midpoints(sample.axes) for sample in samples]
    drawn = [sample_masks(*pair, random, max_masks) for pair in zip(samples, midpoints, strict=True)]
    axis_bin, row, column = torch.from_numpy(np.concatenate([places for places, _ in drawn], axis=1))
    return Batch(
        stain=torch.from_numpy(np.stack([sample.stain for sample in samples])[:, None]),
        centre=torch.from_numpy(
            np.stack(
                [
                    centre_map(middle, middle.visible_in(sample), len(sample.stain))
                    for middle, sample in zip(midpoints, samples, strict=True)
                ]
            )
        ),
        dense=torch.from_numpy(np.stack([dense_maps(sample) for sample in samples])),
        known=torch.from_numpy(np.stack([known_map(sample) for sample in samples])[:, None]),
        image=torch.arange(len(samples)).repeat_interleave(torch.tensor([len(masks) for _, masks in drawn])),
        axis_bin=axis_bin,
        row=row,
        column=column,
        mask=torch.from_numpy(np.concatenate([masks for _, masks in drawn])),
    )


def sample_masks(
    sample: Sample, midpoints: Midpoints, random: np.random.Generator, max_masks: int
) -> tuple[NDArray[np.int64], Floats32]:
    """Choose chromosomes; return places near their midpoints, and their masks.

    Args:
        sample: sample with N chromosomes.
        midpoints: midpoints of the N axes.
        random: source of randomness.
        max_masks: chromosomes to choose, at most.

    Returns:
        (3, n) axis bin, row and column, and (n, WINDOW_SIDE, WINDOW_SIDE) masks.
    """
    size = len(sample.stain) // STRIDE
    place = np.floor(np.stack([midpoints.y, midpoints.x]) / STRIDE).astype(np.int64)
    chosen = random.permutation(np.flatnonzero(midpoints.visible_in(sample)))[:max_masks]
    shift = random.integers(-_POSITION_JITTER, _POSITION_JITTER + 1, (2, len(chosen)))
    rows, columns = np.clip(place[:, chosen] + shift, 0, size - 1)
    bins = axis_bins(midpoints.direction[chosen] + random.normal(0, _DIRECTION_JITTER, len(chosen)))
    masks = np.zeros((len(chosen), WINDOW_SIDE, WINDOW_SIDE), np.float32)
    for mask, k, row, column in zip(masks, chosen, rows.tolist(), columns.tolist(), strict=True):
        top, left = window_origin(row, size), window_origin(column, size)
        mask[:] = _shrink(sample.masks[k])[top : top + WINDOW_SIDE, left : left + WINDOW_SIDE]
    return np.stack([bins, rows, columns]), masks


def find_midpoints(axes: Floats32) -> Midpoints:
    """Return the arc-length midpoints of axes, with the direction of the middle fifth.

    Args:
        axes: (N, K, 2) x, y along each axis, pixels.
    """
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


def centre_map(midpoints: Midpoints, visible: NDArray[np.bool_], side: int) -> Floats32:
    """Return Gaussians at midpoints, over position and direction.

    After CenterNet (Zhou et al. 2019, section 3). The map is 1 only in the pixel and the bin of a visible midpoint. At
    midpoints just outside of the tile it is below 1: the loss there is small whatever the network predicts.

    Args:
        midpoints: midpoints of N axes.
        visible: (N,) whether each is visible.
        side: side of the tile, pixels.

    Returns:
        (AXIS_BINS, h, w).
    """
    size = side // STRIDE
    result = np.zeros((AXIS_BINS, size, size), np.float32)
    grid = np.arange(size)
    own = axis_bins(midpoints.direction)
    angle = np.abs(midpoints.direction[:, None] - np.arange(AXIS_BINS) * np.pi / AXIS_BINS)
    by_direction = np.exp(-0.5 * (np.minimum(angle, np.pi - angle) / _DIRECTION_SIGMA) ** 2)
    for k, (x, y) in enumerate(zip(np.floor(midpoints.x / STRIDE), np.floor(midpoints.y / STRIDE), strict=True)):
        across, down = (np.exp(-0.5 * ((grid - a) / _MIDPOINT_SIGMA) ** 2) for a in (x, y))
        gaussian = down[:, None] * across
        for axis_bin in range(AXIS_BINS):
            height = 1.0 if axis_bin == own[k] and visible[k] else min(0.9, by_direction[k, axis_bin])
            np.maximum(result[axis_bin], height * gaussian, out=result[axis_bin])
    return result


def dense_maps(sample: Sample) -> Floats32:
    """Return (len(DENSE_MAPS), h, w) foreground, overlap, boundary, and axes by direction."""
    depth = sample.masks.sum(axis=0, dtype=np.uint8)
    boundary = np.zeros(depth.shape, np.uint8)
    for mask in sample.masks.view(np.uint8):
        x, y, w, h = cv2.boundingRect(mask)
        around = np.s_[max(0, y - 1) : y + h + 1, max(0, x - 1) : x + w + 1]
        boundary[around] |= cv2.morphologyEx(mask[around], cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    maps = np.stack([_shrink(part) for part in (depth > 0, depth > 1, boundary > 0)])
    return np.concatenate([maps, axis_maps(sample.axes, len(maps[0]))])


def known_map(sample: Sample) -> Floats32:
    """Return (h, w) 1 where every pixel of the tile is known, else 0."""
    known = np.ones(sample.stain.shape, bool) if sample.known is None else sample.known
    return np.asarray(_shrink(known) == 1, np.float32)


def axis_maps(axes: Floats32, size: int) -> Floats32:
    """Draw axes, each piece in the two directions nearest to its own.

    Args:
        axes: (N, K, 2) x, y along each axis, pixels of the tile.
        size: side of the maps, pixels.

    Returns:
        (CORE_DIRECTIONS, size, size) 0 or 1.
    """
    result = np.zeros((CORE_DIRECTIONS, size, size), np.float32)
    # Pixel centres of the tile to pixel centres of the maps, in 1/16 of a pixel.
    points = np.round(16 * ((axes + 0.5) / STRIDE - 0.5)).astype(int)
    for axis in points:
        for before, after in pairwise(axis):
            x, y = (after - before).tolist()
            direction = np.arctan2(y, x) % np.pi / (np.pi / CORE_DIRECTIONS)
            for nearest in (int(direction), int(direction) + 1):
                cv2.line(
                    result[nearest % CORE_DIRECTIONS], before.tolist(), after.tolist(), 1.0, _AXIS_THICKNESS, shift=4
                )
    return result


def _shrink(mask: NDArray[np.bool_]) -> Floats32:
    """Return the share of each pixel of the maps that a mask (H, W) of the tile covers."""
    size = mask.shape[1] // STRIDE, mask.shape[0] // STRIDE
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
