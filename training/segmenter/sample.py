"""A training sample of the segmenter: a tile of a metaphase with its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.orientation import orient_planes

AXIS_POINTS = 16
"""Points along the axis of a chromosome."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Tile of a normalised metaphase at canonical scale, with its truth."""

    stain: NDArray[np.float32]
    """(H, W) float32: 0 background, about 1 chromosome."""
    masks: NDArray[np.bool_]
    """(N, H, W) chromosomes with a large enough part in the tile; masks overlap where chromosomes do."""
    axes: NDArray[np.float32]
    """(N, AXIS_POINTS, 2) x, y along each medial axis, pixels; may leave the tile."""
    known: NDArray[np.bool_] | None = None
    """(H, W) pixels whose truth is known; None if all are."""


Stream = Callable[[int], Iterator[Sample]]
"""Function of n that yields the samples from the n-th on; every call yields the same."""


def orient(sample: Sample, turn: int) -> Sample:
    """Return a square sample in one of its eight orientations.

    Args:
        sample: sample to mirror (from 4 on), then rotate by ``turn % 4`` quarter turns.
        turn: 0..7.

    >>> axes = np.array([[[1, 0], [2, 0]]], np.float32)
    >>> sample = Sample(np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), bool), axes)
    >>> orient(sample, 1).axes.tolist(), orient(sample, 4).axes.tolist()
    ([[[0.0, 2.0], [0.0, 1.0]]], [[[2.0, 0.0], [1.0, 0.0]]])
    """
    last = len(sample.stain) - 1
    axes = sample.axes * (-1, 1) + (last, 0) if turn >= 4 else sample.axes
    for _ in range(turn % 4):
        axes = np.stack([axes[..., 1], last - axes[..., 0]], axis=-1)
    known = None if sample.known is None else orient_planes(sample.known, turn)
    stain, masks = orient_planes(sample.stain, turn), orient_planes(sample.masks, turn)
    return Sample(stain, masks, axes.astype(np.float32), known)
