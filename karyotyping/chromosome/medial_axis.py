"""The medial axis of one chromosome: a smooth line from telomere to telomere, however the chromosome lies.

A skeleton gives the rough course, which forks in corners and stops short of the ends; so it is trimmed, smoothed, moved
onto the middle of its own cross-sections and prolonged to both tips. Whole coordinates are pixel centres.
"""

from __future__ import annotations

import cmath
from statistics import median

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from karyotyping.arrays import Floats

Path = NDArray[np.complex128]
"""(n,) points, x + iy: one number a point, which is interpolated, turned and measured at once."""

_MARGIN = 3
_BENT = 0.8
"""Radians that an axis turns, left and right summed, from which on it is drawn tighter to the middle in rounds ..."""
_ROUNDS = 3
_BENT_SLACK = 0.6
"""... and how far along it is smoothed, in half widths. Straighter ones keep the calmer axis: theirs is no worse."""


def medial_axis(mask: NDArray[np.bool_]) -> Path:
    """The medial axis of ``mask`` (h, w; one part, see :func:`largest_part`) as points one pixel apart.

    The first point is the upper tip (the left one if the chromosome lies flat).
    """
    solid = np.asarray(cv2.copyMakeBorder(mask.view(np.uint8), *4 * (_MARGIN,), cv2.BORDER_CONSTANT, value=0), np.uint8)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    skeleton: NDArray[np.bool_] = skeletonize(solid > 0)  # type: ignore[no-untyped-call]
    half_width = median(depth[skeleton].tolist())
    path = _trim(_longest_path(skeleton), half_width)
    if arc_length(path)[-1] < 1.5 * half_width:
        path = _principal_axis(solid, half_width)
    axis = _prolong(_smooth(resample(path, 1.0), half_width), solid, half_width)
    axis = _settle(axis, solid, half_width, slack=1.0)
    if _turning(axis, half_width) > _BENT:
        for _ in range(_ROUNDS):
            axis = _settle(axis, solid, half_width, slack=_BENT_SLACK)
    along = axis[-1] - axis[0]
    if (along.imag, along.real) < (0.0, 0.0):
        axis = axis[::-1]
    return axis - complex(_MARGIN, _MARGIN)


def straight_axis(mask: NDArray[np.bool_]) -> Path:
    """A straight line through ``mask`` (h, w) along its largest spread, from tip to tip, as points one pixel apart."""
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


def axis_deviation(mask: NDArray[np.bool_], axis: Path) -> float:
    """Root mean square of how far the middles of the cross-sections of ``mask`` (h, w) lie off ``axis``, in widths."""
    reach = max(3, round(1.5 * np.count_nonzero(mask) / max(float(arc_length(axis)[-1]), 1.0)))
    inside = cross_sections(mask.astype(np.float32), (axis[:-1] + axis[1:]) / 2, reach) > 0.5
    width = np.count_nonzero(inside, axis=1)
    middle = inside @ np.arange(-reach, reach + 1) / np.maximum(width, 1)
    return float(np.sqrt((middle**2 * width).sum() / max(width.sum(), 1)) / max(width.mean(), 1.0))


def elongation(mask: NDArray[np.bool_]) -> float:
    """The largest spread of ``mask`` (h, w) over the smallest; 1 for a disc."""
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    total = moments["mu20"] + moments["mu02"]
    difference = float(np.hypot(moments["mu20"] - moments["mu02"], 2 * moments["mu11"]))
    return float(np.sqrt((total + difference) / max(total - difference, 1e-9)))


def largest_part(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part of ``mask`` (h, w), its holes filled.

    Raises:
        ValueError: the mask is empty.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise ValueError("the mask of a chromosome is empty; nothing can be measured on it")
    part = np.zeros(mask.shape, dtype=np.uint8)
    cv2.drawContours(part, [max(contours, key=cv2.contourArea)], -1, 1, cv2.FILLED)
    return part.view(np.bool_)


def principal_direction(mask: NDArray[np.bool_] | NDArray[np.uint8]) -> complex:
    """Direction of the largest spread of ``mask`` (h, w), of unit length."""
    moments = cv2.moments(mask.view(np.uint8), binaryImage=True)
    direction = cmath.sqrt(complex(moments["mu20"] - moments["mu02"], 2 * moments["mu11"])) or 1j
    return direction / abs(direction)


def arc_length(path: Path) -> Floats:
    """Length along ``path`` from its first point to each of its points, (n,)."""
    along = np.zeros(len(path))
    np.abs(path[1:] - path[:-1]).cumsum(out=along[1:])
    return along


def resample(path: Path, step: float) -> Path:
    """Points on ``path``, both ends included, as evenly spaced as a whole number of steps allows."""
    along = arc_length(path)
    count = max(1, round(along[-1] / step))
    points: Path = np.interp(np.arange(count + 1) * (along[-1] / count), along, path)
    return points


def normals(path: Path) -> Path:
    """Unit normals (n,) of ``path``: its direction turned by a quarter."""
    turned = np.empty_like(path)
    turned[1:-1] = path[2:] - path[:-2]
    turned[0], turned[-1] = path[1] - path[0], path[-1] - path[-2]
    return turned * (1j / np.maximum(np.abs(turned), 1e-9))


def sample(image: NDArray[np.uint8] | NDArray[np.float32], points: Path, interpolation: int) -> NDArray[np.float32]:
    """``image`` (h, w) or (h, w, c) at (n, m) ``points``, (n, m[, c]); zero outside."""
    x, y = points.real.astype(np.float32), points.imag.astype(np.float32)
    return np.asarray(cv2.remap(image, x, y, interpolation), np.float32)


def cross_sections(image: NDArray[np.float32], path: Path, reach: int) -> NDArray[np.float32]:
    """``image`` (h, w) or (h, w, c) sampled along the normals of ``path``, (n, 2 * reach + 1[, c]); zero outside."""
    return sample(image, path[:, None] + normals(path)[:, None] * np.arange(-reach, reach + 1), cv2.INTER_LINEAR)


def inner_run(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of each row of ``inside`` (n, 2 * reach + 1) hangs together with the row's middle."""
    middle = inside.shape[1] // 2
    run = np.empty_like(inside)
    run[:, middle:] = np.logical_and.accumulate(inside[:, middle:], axis=1)
    run[:, middle::-1] = np.logical_and.accumulate(inside[:, middle::-1], axis=1)
    return run


def _longest_path(skeleton: NDArray[np.bool_]) -> Path:
    """The longest of all shortest ways through the pixels of ``skeleton``."""
    columns = skeleton.shape[1]
    pixels = np.flatnonzero(skeleton).tolist()
    one_tip = _walk(set(pixels), pixels[0], columns)[-1]
    rows, columns = np.divmod(_walk(set(pixels), one_tip, columns), columns)
    return columns + 1j * rows


def _walk(unseen: set[int], start: int, columns: int) -> list[int]:
    """The shortest way from ``start`` to the pixel that is most steps away; pixels are numbered row by row."""
    neighbours = (columns, 1, -columns, -1, columns + 1, 1 - columns, columns - 1, -1 - columns)
    unseen.discard(start)
    reached, came_from = [start], {}
    for pixel in reached:  # grows as it is read: breadth first
        for step in neighbours:
            neighbour = pixel + step
            if neighbour in unseen:
                unseen.discard(neighbour)
                came_from[neighbour] = pixel
                reached.append(neighbour)
    way = [reached[-1]]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def _trim(path: Path, length: float) -> Path:
    """``path`` without its first and last ``length``, where a skeleton runs into corners."""
    along = arc_length(path)
    kept = path[(along >= length) & (along <= along[-1] - length)]
    return kept if len(kept) > 1 else path[[len(path) // 2] * 2]


def _principal_axis(solid: NDArray[np.uint8], half_width: float) -> Path:
    """A short straight piece through the centroid, along the direction of largest spread."""
    moments = cv2.moments(solid, binaryImage=True)
    centroid = complex(moments["m10"], moments["m01"]) / moments["m00"]
    piece = principal_direction(solid) * max(half_width, 1.0) / 2
    return np.array([centroid - piece, centroid, centroid + piece])


def _smooth(path: Path, sigma: float) -> Path:
    """``path`` after a Gaussian along it; mirrored through its ends, so that they stay."""
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    beyond = np.minimum(np.arange(1, reach + 1), min(len(path) - 1, int(3 * sigma) + 1))
    head, tail = 2 * path[0] - path[beyond[::-1]], 2 * path[-1] - path[-1 - beyond]
    smooth = np.convolve(np.concatenate([head, path, tail]), kernel / kernel.sum(), "valid")
    return resample(smooth, 1.0)


def _turning(path: Path, step: float) -> float:
    """By how much ``path`` turns, left and right added up, in radians; seen at steps of about ``step`` pixels."""
    points = path[:: max(1, round(step))]
    directions = points[1:] - points[:-1]
    return float(np.abs(np.angle(directions[1:] * directions[:-1].conj())).sum())


def _settle(path: Path, solid: NDArray[np.uint8], half_width: float, slack: float) -> Path:
    """``path`` moved onto the middle of its cross-sections, smoothed and prolonged; ``slack`` in half widths."""
    middle = _smooth(_recentre(path, solid, half_width, cap=slack * half_width), slack * half_width)
    return _prolong(middle, solid, slack * half_width)


def _prolong(path: Path, solid: NDArray[np.uint8], half_width: float) -> Path:
    """``path`` carried on straight at both ends to where ``solid`` ends, its points one pixel apart."""
    span = min(len(path) - 1, max(2, round(1.5 * half_width)))
    tips = path[[0, -1]]
    outwards = tips - path[[span, -1 - span]]
    outwards /= np.maximum(np.abs(outwards), 1e-9)
    rays = tips[:, None] + outwards[:, None] * np.arange(0.25, np.hypot(*solid.shape), 0.25)
    head, tail = sample(solid, rays, cv2.INTER_NEAREST).argmin(axis=1)  # the margin around every mask ends each ray
    return resample(np.concatenate([rays[0, :head][::-1], path, rays[1, :tail]]), 1.0)


def _recentre(path: Path, solid: NDArray[np.uint8], half_width: float, cap: float) -> Path:
    """The middles of the cross-sections of ``path``, without caps at both ends, which say little on direction."""
    inner = _trim(path, cap)
    if len(inner) < 4:
        return path
    reach = max(2, round(2.5 * half_width))
    offsets = np.arange(-reach, reach + 1)
    run = inner_run(cross_sections(solid.astype(np.float32), inner, reach) > 0.5)
    shift = run @ offsets / np.maximum(np.count_nonzero(run, axis=1), 1)
    recentred: Path = inner + normals(inner) * np.minimum(np.maximum(shift, -half_width), half_width)
    return recentred
