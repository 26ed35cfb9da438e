"""The eight orientations of an image: four rotations, mirrored or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = 8
"""Number of orientations."""


def orient_planes(planes: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return images (..., H, W) in one of their orientations.

    Args:
        planes: images to mirror (from ``turn`` 4 on), then rotate by ``turn % 4`` quarter turns.
        turn: 0..7.
    """
    mirrored = planes[..., ::-1] if turn >= 4 else planes
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4, (-2, -1)))


def restore_orientation(planes: NDArray[Any], turn: int) -> NDArray[Any]:
    """Undo :func:`orient_planes` of the same turn.

    >>> image = np.arange(6).reshape(2, 3)
    >>> all((restore_orientation(orient_planes(image, turn), turn) == image).all() for turn in range(8))
    True
    """
    upright = np.rot90(planes, -(turn % 4), (-2, -1))
    return np.ascontiguousarray(upright[..., ::-1] if turn >= 4 else upright)


def restore_box(box: tuple[float, float, float, float], turn: int, shape: tuple[int, int]) -> tuple[float, ...]:
    """Return x, y, width and height of a box before an image was oriented.

    Args:
        box: x, y, width and height in the oriented image.
        turn: of the image, 0..7.
        shape: H, W of the image before.

    >>> restore_box((0, 0, 2, 1), 1, (3, 5)), restore_box((0, 0, 2, 1), 4, (3, 5))
    ((4, 0, 1, 2), (3, 0, 2, 1))
    """
    (x, y, w, h), height = box, shape[1] if turn % 2 else shape[0]
    for _ in range(turn % 4):  # a quarter turn clockwise
        x, y, w, h, height = height - y - h, x, h, w, sum(shape) - height
    return (shape[1] - x - w if turn >= 4 else x), y, w, h
