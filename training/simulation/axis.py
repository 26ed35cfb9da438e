"""Axis of a chromosome in the plane, and coordinates of pixels along and across it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Floats32

Course = Callable[[Floats], Floats]
"""Function from places along the axis, 0 (p telomere, where known) to 1, to angles to its mean direction, radians."""


def integrate_headings(headings: Floats, length: float) -> Floats:
    """Return an axis from the origin by its headings.

    Args:
        headings: (K,) angles of the axis, radians.
        length: length of the axis, pixels.

    Returns:
        (K, 2) x, y of evenly spaced points.

    >>> integrate_headings(np.zeros(3), 10.0).tolist()
    [[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]]
    """
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / (len(headings) - 1))
    points: Floats = np.concatenate([[[0.0, 0.0]], np.cumsum(steps[1:], axis=0)])
    return points


def axis_coordinates(
    axis: Floats, shape: tuple[int, int], reach: float
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Floats32, Floats32]:
    """Return the pixels near an axis, and their coordinates along and across it.

    Beyond its ends the axis continues straight.

    Args:
        axis: (K, 2) x, y of evenly spaced points.
        shape: (H, W) of the plane.
        reach: distance from the axis up to which pixels are returned, about, pixels.

    Returns:
        Rows and columns (n,) of the pixels; (n,) along the axis from its first point; (n,) across it; pixels.
    """
    near = np.zeros(shape, np.uint8)
    line = np.round(axis).astype(np.int32)[:, None]
    cv2.polylines(near, [line], isClosed=False, color=1, thickness=2 * int(np.ceil(reach)) + 1)
    rows, columns = np.nonzero(near)
    points = np.column_stack([columns, rows]).astype(np.float32)
    nodes = axis[:: max(1, len(axis) // 32)].astype(np.float32)  # enough for the tightest bends
    # The nearest node, by |p - a|² = |p|² - 2 p·a + |a|², whose first term is the same for all.
    foot = ((nodes**2).sum(axis=1) - points @ (2 * nodes).T).argmin(axis=1)
    tangent = np.gradient(nodes, axis=0)
    step = np.sqrt((tangent**2).sum(axis=1, keepdims=True))
    tangent /= step
    offset, tangent = points - nodes[foot], tangent[foot]
    along = foot * float(step.mean()) + (offset * tangent).sum(axis=1)
    across = offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]
    return (rows, columns), along.astype(np.float32), across
