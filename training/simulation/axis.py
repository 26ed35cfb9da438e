"""How the axis of a chromosome winds through the plane, and where the pixels about it lie along and across it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Floats32

Course = Callable[[Floats], Floats]
"""Angle of the axis to its mean direction at places 0 (first end, the p telomere where it is known) .. 1 along it,
in radians."""


def integrate_headings(headings: Floats, length: float) -> Floats:
    """(K, 2) evenly spaced points of an axis of a ``length``: the integral of its (K,) headings, from the origin."""
    steps = np.stack([np.cos(headings), np.sin(headings)], axis=1) * (length / (len(headings) - 1))
    points: Floats = np.concatenate([[[0.0, 0.0]], np.cumsum(steps[1:], axis=0)])
    return points


def axis_coordinates(
    axis: Floats, shape: tuple[int, int], reach: float
) -> tuple[tuple[NDArray[np.intp], NDArray[np.intp]], Floats32, Floats32]:
    """Rows and columns of the n pixels within about ``reach`` of an axis of evenly spaced points, and their places
    along and across it, (n,) each. Beyond its ends the axis goes on straight."""
    near = np.zeros(shape, np.uint8)
    line = np.round(axis).astype(np.int32)[:, None]
    cv2.polylines(near, [line], isClosed=False, color=1, thickness=2 * int(np.ceil(reach)) + 1)
    rows, columns = np.nonzero(near)
    points = np.column_stack([columns, rows]).astype(np.float32)
    nodes = axis[:: max(1, len(axis) // 32)].astype(np.float32)  # no bend is so tight that more would tell
    # The nearest node, by |p - a|² = |p|² - 2 p·a + |a|², whose first term is the same for all.
    foot = ((nodes**2).sum(axis=1) - points @ (2 * nodes).T).argmin(axis=1)
    tangent = np.gradient(nodes, axis=0)
    step = np.sqrt((tangent**2).sum(axis=1, keepdims=True))
    tangent /= step
    offset, tangent = points - nodes[foot], tangent[foot]
    along = foot * float(step.mean()) + (offset * tangent).sum(axis=1)
    across = offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]
    return (rows, columns), along.astype(np.float32), across
