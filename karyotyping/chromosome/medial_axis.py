"""Medial axis of one chromosome: a smooth line from telomere to telomere.

A skeleton gives the approximate axis, but it forks at corners and ends before the tips. It is trimmed, smoothed, moved
to the middle of its cross-sections and extended to both tips. Integer coordinates are pixel centres.
"""

from __future__ import annotations

import cmath
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from karyotyping.arrays import Bools, Floats, Floats32, Mask

Path = NDArray[np.complex128]
"""(n,) points x + iy: complex arithmetic interpolates, rotates and measures both coordinates at once."""

_PADDING = 3  # px
_BENT_TURNING = 0.8  # rad, left and right turns summed; above it the axis is recentred in extra rounds
_BENT_ROUNDS = 3
_BENT_SMOOTHING = 0.6  # half widths along the axis; straighter axes keep the smoother curve, which fits as well


def medial_axis(mask: Mask) -> Path:
    """Return the medial axis of a chromosome as points one pixel apart, from tip to tip.

    Args:
        mask: (h, w) one connected part without holes, see :func:`largest_part`.

    Returns:
        (n,) points; the first one is the upper tip, or the left tip of a horizontal chromosome.
    """
    solid = np.asarray(
        cv2.copyMakeBorder(mask.view(np.uint8), *4 * (_PADDING,), cv2.BORDER_CONSTANT, value=0), np.uint8
    )
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    skeleton: NDArray[np.bool_] = skeletonize(solid > 0)  # type: ignore[no-untyped-call]
    half_width = median(depth[skeleton].tolist())
    path = _trim(_longest_path(skeleton), half_width)
    if arc_length(path)[-1] < 1.5 * half_width:
        path = _principal_axis(solid, half_width)
    axis = _extend(_smooth(resample(path, 1.0), half_width), solid, half_width)
    axis = _refine(axis, solid, half_width, smoothing=1.0)
    if _turning(axis, half_width) > _BENT_TURNING:
        for _ in range(_BENT_ROUNDS):
            axis = _refine(axis, solid, half_width, smoothing=_BENT_SMOOTHING)
    along = axis[-1] - axis[0]
    if (along.imag, along.real) < (0.0, 0.0):
        axis = axis[::-1]
    return axis - complex(_PADDING, _PADDING)


def straight_axis(mask: Mask) -> Path:
    """Return the principal axis (n,) of ``mask`` (h, w): points one pixel apart, tip to tip."""
    direction = principal_direction(mask)
    if (direction.imag, direction.real) < (0.0, 0.0):
        direction = -direction
    rows, columns = np.nonzero(mask)
    points = columns + 1j * rows
    centroid = points.mean()
    along = ((points - centroid) * direction.conjugate()).real
    first, last = float(along.min()) - 0.5, float(along.max()) + 0.5
    axis: Path = centroid + direction * np.linspace(first, last, max(3, round(last - first) + 1))
    return axis


def axis_deviation(mask: Mask, axis: Path) -> float:
    """Return the RMS distance of cross-section middles from ``axis`` (n,), in widths."""
    reach = max(3, round(1.5 * np.count_nonzero(mask) / max(float(arc_length(axis)[-1]), 1.0)))
    inside = cross_sections(mask.astype(np.float32), (axis[:-1] + axis[1:]) / 2, reach) > 0.5
    width = np.count_nonzero(inside, axis=1)
    middle = inside @ np.arange(-reach, reach + 1) / np.maximum(width, 1)
    return float(np.sqrt((middle**2 * width).sum() / max(width.sum(), 1)) / max(width.mean(), 1.0))


def elongation(mask: Mask) -> float:
    """Return the ratio of the largest to the smallest spread of ``mask`` (h, w); 1 for a disc.

    >>> elongation(np.ones((5, 5), np.bool_))
    1.0
    """
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    total = moments["mu20"] + moments["mu02"]
    difference = float(np.hypot(moments["mu20"] - moments["mu02"], 2 * moments["mu11"]))
    return float(np.sqrt((total + difference) / max(total - difference, 1e-9)))


def largest_part(mask: Mask) -> Mask:
    """Return the largest connected part of ``mask`` (h, w) with its holes filled.

    Raises:
        ValueError: the mask is empty.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise ValueError("the mask of a chromosome is empty; nothing can be measured on it")
    part = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(part, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return part.view(np.bool_)


def principal_direction(mask: Mask | NDArray[np.uint8]) -> complex:
    """Return the direction of the largest spread of ``mask`` (h, w), of unit length."""
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    direction = cmath.sqrt(complex(moments["mu20"] - moments["mu02"], 2 * moments["mu11"])) or 1j
    return direction / abs(direction)


def arc_length(path: Path) -> Floats:
    """Return the length along ``path`` (n,) from its first point to each of its points, (n,).

    >>> arc_length(np.array([0, 3 + 4j, 3 + 5j])).tolist()
    [0.0, 5.0, 6.0]
    """
    along = np.zeros(len(path))
    np.abs(path[1:] - path[:-1]).cumsum(out=along[1:])
    return along


def resample(path: Path, step: float) -> Path:
    """Return evenly spaced points on ``path`` (n,), about ``step`` pixels apart, ends included.

    >>> resample(np.array([0, 4 + 0j]), 2.0).tolist()
    [0j, (2+0j), (4+0j)]
    """
    along = arc_length(path)
    count = max(1, round(along[-1] / step))
    points: Path = np.interp(np.arange(count + 1) * (along[-1] / count), along, path)
    return points


def normals(path: Path) -> Path:
    """Return the unit normals (n,) of ``path`` (n,): its direction rotated by 90 degrees."""
    direction = np.empty_like(path)
    direction[1:-1] = path[2:] - path[:-2]
    direction[0], direction[-1] = path[1] - path[0], path[-1] - path[-2]
    return direction * (1j / np.maximum(np.abs(direction), 1e-9))


def sample(image: NDArray[np.uint8] | Floats32, points: Path, interpolation: int) -> Floats32:
    """Return the values (n, m[, c]) of ``image`` (h, w[, c]) at ``points`` (n, m); 0 outside."""
    x, y = points.real.astype(np.float32), points.imag.astype(np.float32)
    return np.asarray(cv2.remap(image, x, y, interpolation), np.float32)


def cross_sections(image: Floats32, path: Path, reach: int) -> Floats32:
    """Return samples (n, 2 * reach + 1[, c]) of ``image`` along the normals of ``path``.

    Samples are one pixel apart, the middle one is on the path; values outside of the image are 0.
    """
    return sample(image, path[:, None] + normals(path)[:, None] * np.arange(-reach, reach + 1), cv2.INTER_LINEAR)


def inner_run(inside: Bools) -> Bools:
    """Return the run of each row of ``inside`` (n, 2 * reach + 1) that includes the middle.

    >>> inner_run(np.array([[True, False, True, True, False]])).tolist()
    [[False, False, True, True, False]]
    """
    middle = inside.shape[1] // 2
    run = np.empty_like(inside)
    run[:, middle:] = np.logical_and.accumulate(inside[:, middle:], axis=1)
    run[:, middle::-1] = np.logical_and.accumulate(inside[:, middle::-1], axis=1)
    return run


def _longest_path(skeleton: Mask) -> Path:
    """Return the longest of all shortest paths (n,) through the pixels of ``skeleton`` (h, w)."""
    columns = skeleton.shape[1]
    pixels = np.flatnonzero(skeleton).tolist()
    first_tip = _path_to_farthest(set(pixels), pixels[0], columns)[-1]
    rows, columns = np.divmod(_path_to_farthest(set(pixels), first_tip, columns), columns)
    return columns + 1j * rows


def _path_to_farthest(unvisited: set[int], start: int, columns: int) -> list[int]:
    """Return the shortest path from ``start`` to the farthest pixel, as row-major indices."""
    neighbours = (columns, 1, -columns, -1, columns + 1, 1 - columns, columns - 1, -1 - columns)
    unvisited.discard(start)
    visited, parent = [start], {}
    for pixel in visited:  # grows during the iteration
        for step in neighbours:
            neighbour = pixel + step
            if neighbour in unvisited:
                unvisited.discard(neighbour)
                parent[neighbour] = pixel
                visited.append(neighbour)
    path = [visited[-1]]
    while path[-1] != start:
        path.append(parent[path[-1]])
    return path[::-1]


def _trim(path: Path, length: float) -> Path:
    """Return ``path`` without ``length`` pixels at both ends, where a skeleton forks."""
    along = arc_length(path)
    kept = path[(along >= length) & (along <= along[-1] - length)]
    return kept if len(kept) > 1 else path[[len(path) // 2] * 2]


def _principal_axis(solid: NDArray[np.uint8], half_width: float) -> Path:
    """Return a short segment through the centroid of ``solid`` along its principal direction."""
    moments = cv2.moments(solid, binaryImage=True)
    centroid = complex(moments["m10"], moments["m01"]) / moments["m00"]
    half = principal_direction(solid) * max(half_width, 1.0) / 2
    return np.array([centroid - half, centroid, centroid + half])


def _smooth(path: Path, sigma: float) -> Path:
    """Return ``path`` smoothed by a Gaussian; point reflection at both ends keeps them in place."""
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    beyond = np.minimum(np.arange(1, reach + 1), min(len(path) - 1, int(3 * sigma) + 1))
    head, tail = 2 * path[0] - path[beyond[::-1]], 2 * path[-1] - path[-1 - beyond]
    smooth = np.convolve(np.concatenate([head, path, tail]), kernel / kernel.sum(), "valid")
    return resample(smooth, 1.0)


def _turning(path: Path, step: float) -> float:
    """Return the summed turning angles of ``path``, radians, at points ``step`` pixels apart."""
    points = path[:: max(1, round(step))]
    directions = points[1:] - points[:-1]
    return float(np.abs(np.angle(directions[1:] * directions[:-1].conj())).sum())


def _refine(path: Path, solid: NDArray[np.uint8], half_width: float, smoothing: float) -> Path:
    """Return ``path`` recentred, smoothed and extended; ``smoothing`` in half widths."""
    middle = _smooth(_recentre(path, solid, half_width, cap=smoothing * half_width), smoothing * half_width)
    return _extend(middle, solid, smoothing * half_width)


def _extend(path: Path, solid: NDArray[np.uint8], half_width: float) -> Path:
    """Return ``path`` extended straight at both ends to the border of ``solid``."""
    span = min(len(path) - 1, max(2, round(1.5 * half_width)))
    tips = path[[0, -1]]
    outwards = tips - path[[span, -1 - span]]
    outwards /= np.maximum(np.abs(outwards), 1e-9)
    rays = tips[:, None] + outwards[:, None] * np.arange(0.25, np.hypot(*solid.shape), 0.25)
    head, tail = sample(solid, rays, cv2.INTER_NEAREST).argmin(axis=1)  # the padding ends each ray
    return resample(np.concatenate([rays[0, :head][::-1], path, rays[1, :tail]]), 1.0)


def _recentre(path: Path, solid: NDArray[np.uint8], half_width: float, cap: float) -> Path:
    """Return the middles of the cross-sections of ``path``, without ``cap`` pixels at both ends."""
    inner = _trim(path, cap)
    if len(inner) < 4:
        return path
    reach = max(2, round(2.5 * half_width))
    offsets = np.arange(-reach, reach + 1)
    run = inner_run(cross_sections(solid.astype(np.float32), inner, reach) > 0.5)
    shift = run @ offsets / np.maximum(np.count_nonzero(run, axis=1), 1)
    recentred: Path = inner + normals(inner) * np.minimum(np.maximum(shift, -half_width), half_width)
    return recentred
