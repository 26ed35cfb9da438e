"""A training sample of the segmenter: a tile of a simulated metaphase with its truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

POINTS = 16


@dataclass(frozen=True, slots=True)
class Field:
    """A tile of a simulated metaphase as ``karyotyping.normalise`` gives it, at canonical scale."""

    stain: NDArray[np.float32]
    """(H, W): 0 background, about 1 chromosome."""
    masks: NDArray[np.bool_]
    """(N, H, W): every chromosome with enough of it inside the tile; they overlap where chromosomes do."""
    axes: NDArray[np.float32]
    """(N, POINTS, 2): x, y along each medial axis; may leave the tile."""


def turned(field: Field, turn: int) -> Field:
    """The square field in one of its eight orientations: ``turn % 4`` quarter turns, mirrored first from 4 on.

    >>> axes = np.array([[[1, 0], [2, 0]]], np.float32)
    >>> field = Field(np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), bool), axes)
    >>> turned(field, 1).axes.tolist(), turned(field, 4).axes.tolist()
    ([[[0.0, 2.0], [0.0, 1.0]]], [[[2.0, 0.0], [1.0, 0.0]]])
    """
    stain, masks, axes, last = field.stain, field.masks, field.axes, len(field.stain) - 1
    if turn >= 4:
        stain, masks, axes = stain[:, ::-1], masks[:, :, ::-1], axes * (-1, 1) + (last, 0)
    stain, masks = np.rot90(stain, turn % 4), np.rot90(masks, turn % 4, (1, 2))
    for _ in range(turn % 4):
        axes = np.stack([axes[..., 1], last - axes[..., 0]], axis=-1)
    return Field(np.ascontiguousarray(stain), np.ascontiguousarray(masks), axes.astype(np.float32))
