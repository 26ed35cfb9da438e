"""A training sample of the segmenter: a tile of a metaphase with its truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

AXIS_POINTS, ORIENTATIONS = 16, 8
"""Along an axis; orientations of an image."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A tile of a metaphase as ``karyotyping.image.normalise`` gives it, at canonical scale."""

    stain: NDArray[np.float32]
    """(H, W): 0 background, about 1 chromosome."""
    masks: NDArray[np.bool_]
    """(N, H, W): every chromosome with enough of it inside the tile; they overlap where chromosomes do."""
    axes: NDArray[np.float32]
    """(N, POINTS, 2): x, y along each medial axis; may leave the tile."""
    known: NDArray[np.bool_] | None = None
    """(H, W): where ``masks`` say all that there is; None: everywhere."""


Stream = Callable[[int], Iterator[Sample]]
"""The fields from the n-th on, in their order: the same however often it is asked."""


def orient(field: Sample, turn: int) -> Sample:
    """The square field in one of its eight orientations: ``turn % 4`` quarter turns, mirrored first from 4 on.

    >>> axes = np.array([[[1, 0], [2, 0]]], np.float32)
    >>> field = Field(np.zeros((4, 4), np.float32), np.zeros((1, 4, 4), bool), axes)
    >>> turned(field, 1).axes.tolist(), turned(field, 4).axes.tolist()
    ([[[0.0, 2.0], [0.0, 1.0]]], [[[2.0, 0.0], [1.0, 0.0]]])
    """
    last = len(field.stain) - 1

    axes = field.axes * (-1, 1) + (last, 0) if turn >= 4 else field.axes
    for _ in range(turn % 4):
        axes = np.stack([axes[..., 1], last - axes[..., 0]], axis=-1)
    known = None if field.known is None else orient_planes(field.known, turn)
    stain, masks = orient_planes(field.stain, turn), orient_planes(field.masks, turn)
    return Sample(stain, masks, axes.astype(np.float32), known)


def orient_planes(planes: NDArray[Any], turn: int) -> NDArray[Any]:
    """Images (..., H, W) in one of their eight orientations."""
    mirrored = planes[..., ::-1] if turn >= 4 else planes
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4, (-2, -1)))


def restore_orientation(planes: NDArray[Any], turn: int) -> NDArray[Any]:
    """The images that came into this orientation, as they were.

    >>> image = np.arange(6).reshape(2, 3)
    >>> all((turned_back(turned_planes(image, turn), turn) == image).all() for turn in range(8))
    True
    """
    upright = np.rot90(planes, -(turn % 4), (-2, -1))
    return np.ascontiguousarray(upright[..., ::-1] if turn >= 4 else upright)
