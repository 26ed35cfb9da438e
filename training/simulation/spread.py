"""Arrangement of chromosomes in a round spread: apart, touching or overlapping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from training.simulation.chromosome import Patch

Contact = Literal["apart", "touching", "overlapping"]
_MIN_GAP = 7  # px between chromosomes apart, so that blur does not join them
_MAX_TRIES = 80  # patches tried for a chromosome, and positions tried for a patch
_MIN_OVERLAP = 0.03  # of the smaller of two that overlap
_MAX_OVERLAPS = (0.1, 0.5)  # the most, drawn for each pair; in real cells the median is 0.2, and 95 % are below 0.48


@dataclass(frozen=True, slots=True)
class Placed:
    """Chromosome on a canvas."""

    patch: Patch
    x: int
    """Column of the upper left pixel of the patch."""
    y: int
    """Row of the upper left pixel of the patch."""
    contact: Contact = "apart"
    """Contact with chromosomes placed before it."""


class Canvas:
    """Chromosomes placed so far, and the pixels near them.

    Args:
        shape: (H, W), pixels.
        margin: distance of chromosomes from the border, pixels.
    """

    def __init__(self, shape: tuple[int, int], margin: int = 10) -> None:
        self.shape = shape
        self.margin = margin
        self.near = np.zeros(shape, dtype=bool)
        """(H, W) pixels within ``_MIN_GAP`` of a chromosome."""
        self.placed: list[Placed] = []

    def inside(self, patch: Patch, x: int, y: int) -> bool:
        """Return whether a patch at ``x``, ``y`` is clear of the border."""
        h, w = patch.mask.shape
        low, (bottom, right) = self.margin, (self.shape[0] - self.margin, self.shape[1] - self.margin)
        return low <= x and low <= y and x + w <= right and y + h <= bottom

    def free(self, mask: NDArray[np.bool_], x: int, y: int, near: NDArray[np.bool_] | None = None) -> bool:
        """Return whether a mask at ``x``, ``y`` avoids ``near``, by default all chromosomes."""
        h, w = mask.shape
        near = self.near if near is None else near
        return not bool((near[y : y + h, x : x + w] & mask).any())

    def add(self, placed: Placed) -> None:
        """Place a chromosome."""
        self.placed.append(placed)
        self.near |= self.around([placed])

    def around(self, placed: Sequence[Placed]) -> NDArray[np.bool_]:
        """Return (H, W) the pixels within ``_MIN_GAP`` of some chromosomes."""
        taken = np.zeros(self.shape, dtype=np.uint8)
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _MIN_GAP + 1, 2 * _MIN_GAP + 1))
        for item in placed:
            h, w = item.patch.mask.shape
            padded = np.asarray(cv2.dilate(np.pad(item.patch.mask, _MIN_GAP).astype(np.uint8), disc), np.uint8)
            top, left = max(0, item.y - _MIN_GAP), max(0, item.x - _MIN_GAP)
            bottom, right = min(self.shape[0], item.y + h + _MIN_GAP), min(self.shape[1], item.x + w + _MIN_GAP)
            if bottom > top and right > left:
                oy, ox = top - (item.y - _MIN_GAP), left - (item.x - _MIN_GAP)
                taken[top:bottom, left:right] |= padded[oy : oy + bottom - top, ox : ox + right - left]
        return taken > 0


def arrange(
    draw: Callable[[int], Patch],
    count: int,
    canvas: Canvas,
    rng: np.random.Generator,
    *,
    touching: int = 0,
    overlapping: int = 0,
) -> list[Placed]:
    """Place chromosomes on a canvas.

    Args:
        draw: draws the i-th chromosome; it is called again, for another rotation and bend, if one does not fit.
        count: number of chromosomes.
        canvas: canvas to place them on.
        rng: source of randomness.
        touching: number of chromosomes that touch one placed before them.
        overlapping: number of chromosomes that overlap one placed before them.

    Returns:
        The placed chromosomes, in the order of ``draw``.

    Raises:
        ValueError: there are more contacts than ``count`` - 1, or the canvas is too small.
    """
    if min(touching, overlapping) < 0 or touching + overlapping > max(0, count - 1):
        raise ValueError(
            f"{touching} touching and {overlapping} overlapping chromosomes are too many: only {max(0, count - 1)} of "
            f"{count} can be in contact with another"
        )
    contacts: list[Contact] = ["apart"] * count
    chosen = rng.permutation(np.arange(1, count))[: touching + overlapping]
    for k, i in enumerate(chosen):
        contacts[i] = "overlapping" if k < overlapping else "touching"
    order = sorted(range(count), key=lambda i: contacts[i] != "apart")  # contacts need a chromosome placed before
    by_index: dict[int, Placed] = {}
    centre = np.array(canvas.shape[::-1]) / 2 + rng.normal(0, 0.02 * min(canvas.shape), 2)
    radius = 0.5 * min(canvas.shape) * rng.uniform(0.7, 0.85)
    for i in order:
        by_index[i] = _place(lambda i=i: draw(i), contacts[i], canvas, centre=centre, radius=radius, rng=rng)  # type: ignore[misc]
        canvas.add(by_index[i])
    return [by_index[i] for i in range(count)]


def _place(
    draw: Callable[[], Patch],
    contact: Contact,
    canvas: Canvas,
    *,
    centre: NDArray[np.float64],
    radius: float,
    rng: np.random.Generator,
) -> Placed:
    for attempt in range(_MAX_TRIES):
        patch = draw()
        if contact == "apart":
            reach = radius * (1 + 0.02 * attempt)
            placed = _place_apart(patch, canvas, centre, reach, rng)
        else:
            placed = _place_on_another(patch, contact, canvas, rng)
        if placed is not None:
            return placed
    raise ValueError(
        f"no room for another {contact} chromosome on a canvas of {canvas.shape[1]} x {canvas.shape[0]} pixels: "
        "enlarge the canvas or ask for fewer chromosomes"
    )


def _place_apart(
    patch: Patch, canvas: Canvas, centre: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> Placed | None:
    h, w = patch.mask.shape
    for _ in range(_MAX_TRIES):
        angle, distance = rng.uniform(0, 2 * np.pi), radius * np.sqrt(rng.uniform())
        x = int(centre[0] + distance * np.cos(angle) - w / 2)
        y = int(centre[1] + distance * np.sin(angle) - h / 2)
        if canvas.inside(patch, x, y) and canvas.free(patch.mask, x, y):
            return Placed(patch, x, y)
    return None


def _place_on_another(patch: Patch, contact: Contact, canvas: Canvas, rng: np.random.Generator) -> Placed | None:
    host = canvas.placed[int(rng.integers(len(canvas.placed)))]
    others = canvas.around([item for item in canvas.placed if item is not host])
    host_mask = np.zeros(canvas.shape, dtype=bool)
    h, w = host.patch.mask.shape
    host_mask[host.y : host.y + h, host.x : host.x + w] = host.patch.mask
    most = rng.uniform(*_MAX_OVERLAPS)
    draw_position = _overlapping_position if contact == "overlapping" else _touching_position
    for _ in range(_MAX_TRIES // 8):
        x, y = draw_position(patch, host, host_mask, rng)
        if canvas.inside(patch, x, y) and canvas.free(patch.mask, x, y, others):
            shared = int((host_mask[y : y + patch.mask.shape[0], x : x + patch.mask.shape[1]] & patch.mask).sum())
            share = shared / min(patch.mask.sum(), host.patch.mask.sum())
            if _MIN_OVERLAP < share < most if contact == "overlapping" else shared == 0:
                return Placed(patch, x, y, contact)
    return None


def _overlapping_position(
    patch: Patch, host: Placed, host_mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[int, int]:
    """Return a position at which the axis crosses the host's axis."""
    point = patch.axis[int(rng.uniform(0.1, 0.9) * (len(patch.axis) - 1))]
    host_point = host.patch.axis[int(rng.uniform(0.1, 0.9) * (len(host.patch.axis) - 1))]
    x, y = np.round(host_point - point + np.array((host.x, host.y))).astype(int)
    return int(x), int(y)


def _touching_position(
    patch: Patch, host: Placed, host_mask: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[int, int]:
    """Return the nearest position to the host without overlap, in a random direction."""
    x, y = _overlapping_position(patch, host, host_mask, rng)
    angle = rng.uniform(0, 2 * np.pi)
    h, w = patch.mask.shape
    for step in range(200):
        px, py = round(x + step * float(np.cos(angle))), round(y + step * float(np.sin(angle)))
        if px < 0 or py < 0 or px + w > host_mask.shape[1] or py + h > host_mask.shape[0]:
            return -1, -1
        if not (host_mask[py : py + h, px : px + w] & patch.mask).any():
            return px, py
    return -1, -1
