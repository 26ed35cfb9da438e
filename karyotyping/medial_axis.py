"""The medial axis of one chromosome: a smooth line from telomere to telomere, however the chromosome lies.

A skeleton gives the rough course, which forks in corners and stops short of the ends; so it is trimmed, smoothed, moved
onto the middle of its own cross-sections and prolonged to both tips. Coordinates are (x, y) of pixel centres.
"""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from skimage.morphology import skeletonize

Floats = NDArray[np.float64]
Pixel = tuple[int, int]

_MARGIN = 3
_NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))


def medial_axis(mask: NDArray[np.bool_]) -> Floats:
    """The medial axis of the largest part of ``mask`` (h, w) as (n, 2) points x, y about one pixel apart.

    The first point is the upper tip (the left one if the chromosome lies flat).

    Raises:
        ValueError: the mask is empty.
    """
    solid = np.pad(largest_part(mask), _MARGIN).view(np.uint8)
    depth = cv2.distanceTransform(solid, cv2.DIST_L2, 5)
    skeleton: NDArray[np.bool_] = skeletonize(solid > 0)  # type: ignore[no-untyped-call]
    half_width = float(np.median(depth[skeleton]))
    path = _trim(_longest_path(skeleton), half_width)
    if arc_length(path)[-1] < 1.5 * half_width:
        path = _principal_axis(solid, half_width)
    axis = _prolong(_smooth(resample(path, 1.0), half_width), solid, half_width)
    axis = _prolong(_smooth(_recentre(axis, solid, half_width), half_width), solid, half_width)
    along = axis[-1] - axis[0]
    if (along[1], along[0]) < (0.0, 0.0):
        axis = axis[::-1]
    return axis - _MARGIN


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


def arc_length(path: Floats) -> Floats:
    """Length along (n, 2) ``path`` from its first point to each of its points, (n,)."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])


def resample(path: Floats, step: float) -> Floats:
    """Points on ``path``, both ends included, as evenly spaced as a whole number of steps allows."""
    along = arc_length(path)
    positions = np.linspace(0.0, along[-1], max(2, round(along[-1] / step) + 1))
    return np.stack([np.interp(positions, along, path[:, axis]) for axis in (0, 1)], axis=1)


def normals(path: Floats) -> Floats:
    """Unit normals (n, 2) of ``path``: its direction turned by a quarter."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.hypot(tangent[:, 0], tangent[:, 1]), 1e-9)[:, None]
    return np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)


def cross_sections(image: NDArray[np.uint8] | NDArray[np.float32], path: Floats, reach: int) -> NDArray[np.float32]:
    """``image`` sampled along the normals of ``path``, (n, 2 * reach + 1); zero outside the image."""
    offsets = np.arange(-reach, reach + 1, dtype=np.float64)
    points = (path[:, None, :] + normals(path)[:, None, :] * offsets[None, :, None]).astype(np.float32)
    sampled = cv2.remap(image.astype(np.float32), points[..., 0], points[..., 1], cv2.INTER_LINEAR)
    return np.asarray(sampled, dtype=np.float32)


def inner_run(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What of each row of ``inside`` (n, 2 * reach + 1) hangs together with the row's middle."""
    middle = inside.shape[1] // 2
    run = np.empty_like(inside)
    run[:, middle:] = np.logical_and.accumulate(inside[:, middle:], axis=1)
    run[:, middle::-1] = np.logical_and.accumulate(inside[:, middle::-1], axis=1)
    return run


def _longest_path(skeleton: NDArray[np.bool_]) -> Floats:
    """The longest of all shortest ways through the pixels of ``skeleton``, (n, 2) points x, y."""
    pixels = {(int(x), int(y)) for y, x in np.argwhere(skeleton)}
    one_tip = _walk(pixels, next(iter(pixels)))[-1]
    return np.array(_walk(pixels, one_tip), dtype=np.float64)


def _walk(pixels: set[Pixel], start: Pixel) -> list[Pixel]:
    """The shortest way from ``start`` to the pixel that is most steps away from it."""
    came_from = {start: start}
    queue = deque([start])
    while queue:
        last = x, y = queue.popleft()
        for dx, dy in _NEIGHBOURS:
            neighbour = (x + dx, y + dy)
            if neighbour in pixels and neighbour not in came_from:
                came_from[neighbour] = last
                queue.append(neighbour)
    way = [last]
    while way[-1] != start:
        way.append(came_from[way[-1]])
    return way[::-1]


def _trim(path: Floats, length: float) -> Floats:
    """``path`` without its first and last ``length``, where a skeleton runs into corners."""
    along = arc_length(path)
    kept = path[(along >= length) & (along <= along[-1] - length)]
    return kept if len(kept) > 1 else path[[len(path) // 2] * 2]


def _principal_axis(solid: NDArray[np.uint8], half_width: float) -> Floats:
    """A short straight piece through the centroid, along the direction of largest spread."""
    rows, columns = np.nonzero(solid)
    points = np.stack([columns, rows], axis=1).astype(np.float64)
    centroid = points.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((points - centroid).T) if len(points) > 1 else np.eye(2))
    piece = vectors[:, -1] * max(half_width, 1.0) / 2
    return np.stack([centroid - piece, centroid, centroid + piece])


def _smooth(path: Floats, sigma: float) -> Floats:
    """``path`` after a Gaussian along it; mirrored through its ends, so that they stay."""
    reach = min(len(path) - 1, int(3 * sigma) + 1)
    head = 2 * path[0] - path[reach:0:-1]
    tail = 2 * path[-1] - path[-2 : -reach - 2 : -1]
    smooth: Floats = gaussian_filter1d(np.concatenate([head, path, tail]), sigma, axis=0, mode="nearest")
    return resample(smooth[reach : reach + len(path)], 1.0)


def _prolong(path: Floats, solid: NDArray[np.uint8], half_width: float) -> Floats:
    """``path`` carried on straight at both ends to where ``solid`` ends."""
    span = min(len(path) - 1, max(2, round(1.5 * half_width)))
    return resample(
        np.concatenate(
            [_ray(path[0], path[0] - path[span], solid)[::-1], path, _ray(path[-1], path[-1] - path[-1 - span], solid)]
        ),
        1.0,
    )


def _ray(origin: Floats, direction: Floats, solid: NDArray[np.uint8]) -> Floats:
    """Quarter-pixel steps from ``origin`` while they stay in ``solid``, (k, 2); the origin itself is left out."""
    unit = direction / max(float(np.hypot(*direction)), 1e-9)
    steps = origin + unit * np.arange(0.25, float(np.hypot(*solid.shape)), 0.25)[:, None]
    x, y = np.clip(np.round(steps).astype(np.intp), 0, np.array(solid.shape[::-1]) - 1).T
    return steps[: int(np.argmin(solid[y, x]))]  # the margin around every mask ends each ray


def _recentre(path: Floats, solid: NDArray[np.uint8], half_width: float) -> Floats:
    """The middles of the cross-sections of ``path``, without the caps at both ends, which say nothing on direction."""
    inner = _trim(path, half_width)
    if len(inner) < 4:
        return path
    reach = max(2, round(2.5 * half_width))
    run = inner_run(cross_sections(solid, inner, reach) > 0.5)
    offsets = np.arange(-reach, reach + 1)
    shift = (run * offsets).sum(axis=1) / np.maximum(run.sum(axis=1), 1)
    recentred: Floats = inner + normals(inner) * np.clip(shift, -half_width, half_width)[:, None]
    return recentred
