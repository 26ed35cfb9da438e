"""Crowds: chromosomes laid apart, against each other and across each other, in all the ways that fool a segmenter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.segmentation.contours import Contour
from training.simulation.deform import DeformedChromosome

Relation = Literal["apart", "touching", "x", "t", "l", "parallel", "end_to_end"]
RELATIONS: tuple[Relation, ...] = ("apart", "touching", "x", "t", "l", "parallel", "end_to_end")
_TRIES = 14

MakeChromosome = Callable[[float | None, float], DeformedChromosome | None]
"""Lays the next chromosome with a heading, or any if None, at a place along its axis; None if it fails."""


@dataclass(frozen=True, slots=True)
class PlacedChromosome:
    """A chromosome whose patch has its upper left pixel at ``x``, ``y`` of the canvas; in a group of its own or not."""

    laid: DeformedChromosome
    x: int
    y: int
    group: int


class Cluster:
    """What lies on a canvas so far; patches may stick out of it.

    Args:
        shape: of the canvas, (H, W).
        gap: pixels that lie free at least between those that are laid apart.
        most_covered: share of a chromosome that those which lie there already may cover at most.
        most_members: at most so many hang together on purpose; others come to lie beside them by chance.
    """

    def __init__(self, shape: tuple[int, int], gap: float, most_covered: float = 0.45, most_members: int = 5) -> None:
        self.shape = shape
        self.covers = np.zeros(shape, np.uint8)
        """How many chromosomes lie on each pixel."""
        self.members: list[PlacedChromosome] = []
        self._near = np.zeros(shape, bool)
        side = 2 * max(1, round(gap)) + 1
        self._disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        self._most_covered, self._most_members = most_covered, most_members

    def window(self, laid: DeformedChromosome, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """The window of the canvas that a patch covers, and the same window in the patch; either may be empty."""
        return Contour(laid.mask, (x, y)).window(self.shape)

    def add(self, laid: DeformedChromosome, x: int, y: int, group: int) -> None:
        """Lay it there."""
        canvas, part = self.window(laid, x, y)
        self.covers[canvas] += laid.mask[part]
        margin = self._disc.shape[0] // 2
        wide = cv2.dilate(np.pad(laid.mask, margin).astype(np.uint8), self._disc) > 0
        canvas, part = Contour(wide, (x - margin, y - margin)).window(self.shape)
        self._near[canvas] |= wide[part]
        self.members.append(PlacedChromosome(laid, x, y, group))

    def apart(self, laid: DeformedChromosome, where: Callable[[], tuple[float, float]]) -> bool:
        """Lay it clear of all others, its middle where ``where`` says; False if there is no room."""
        middle = laid.axis[len(laid.axis) // 2]
        for _ in range(_TRIES):
            x, y = (round(a) for a in np.array(where()) - middle)
            canvas, part = self.window(laid, x, y)
            if not (self._near[canvas] & laid.mask[part]).any():
                self.add(laid, x, y, len(self.members))
                return True
        return False

    def join(self, relation: Relation, lay: MakeChromosome, width: float, rng: np.random.Generator) -> bool:
        """Lay one in a relation to one that lies there already; False if it cannot be done."""
        host = self.members[int(rng.integers(len(self.members)))]
        if sum(member.group == host.group for member in self.members) >= self._most_members:
            return False
        ours, theirs = _places(relation, rng)
        axis = host.laid.axis + np.array((host.x, host.y))
        foot = round(theirs * (len(axis) - 1))
        tangent = np.diff(axis[max(0, foot - 3) : foot + 4][[0, -1]], axis=0)[0]
        heading = float(np.arctan2(tangent[1], tangent[0]))
        if relation == "end_to_end":
            outward = heading if theirs > 0.5 else heading + np.pi
            turn = (outward if ours < 0.5 else outward + np.pi) - heading + rng.normal(0, 0.25)
            away = outward
        else:
            turn = _turn(relation, rng)
            away = heading + rng.choice((-1, 1)) * np.pi / 2
        laid = lay(heading + turn, ours)
        if laid is None:
            return False
        start = axis[foot] - laid.axis[round(ours * (len(laid.axis) - 1))]
        slides = relation in ("touching", "parallel", "end_to_end")
        least, most = (0.0, rng.choice((0.0, 0.03, 0.1))) if slides else (0.02, self._most_covered)
        first = 0.6 * width if relation == "parallel" else 0.0
        for step in range(40 if slides else 1):
            distance = first + 1.0 * step
            x, y = round(start[0] + distance * np.cos(away)), round(start[1] + distance * np.sin(away))
            canvas, part = self.window(laid, x, y)
            mine: NDArray[np.bool_] = laid.mask[part]
            covered = int(np.count_nonzero(mine & (self.covers[canvas] > 0))) / max(1, int(np.count_nonzero(laid.mask)))
            if least <= covered <= most and not (mine & (self.covers[canvas] > 2)).any():
                self.add(laid, x, y, host.group)
                return True
        return False


def _places(relation: Relation, rng: np.random.Generator) -> tuple[float, float]:
    """Where along both axes they meet."""

    def end() -> float:
        return float(rng.integers(2) * 0.9 + rng.uniform(0, 0.1))

    def middle() -> float:
        return float(rng.uniform(0.22, 0.78))

    if relation in ("l", "end_to_end"):
        return end(), end()
    if relation == "t":
        return (end(), middle()) if rng.random() < 0.5 else (middle(), end())
    return middle(), middle()


def _turn(relation: Relation, rng: np.random.Generator) -> float:
    """Angle between both axes where they meet."""
    if relation == "parallel":
        return float(rng.normal(0, 0.15) + np.pi * rng.integers(2))
    if relation == "touching":
        return float(rng.uniform(0, 2 * np.pi))
    return float(rng.choice((-1, 1)) * rng.uniform(0.5, np.pi - 0.5))


def masks_and_stain(
    crowd: Cluster, least: float
) -> tuple[NDArray[np.bool_], list[NDArray[np.float32]], NDArray[np.float32]]:
    """Masks (N, H, W) of the chromosomes with ``least`` pixels on the canvas, their axes, and the stain of all.

    Where chromosomes lie across each other their stains add.
    """
    stain = np.zeros(crowd.shape, np.float32)
    masks, axes = [], []
    for member in crowd.members:
        canvas, part = crowd.window(member.laid, member.x, member.y)
        stain[canvas] += member.laid.stain[part]
        if np.count_nonzero(member.laid.mask[part]) >= least:
            mask = np.zeros(crowd.shape, bool)
            mask[canvas] = member.laid.mask[part]
            masks.append(mask)
            axes.append(member.laid.axis + np.array((member.x, member.y), np.float32))
    return np.array(masks, bool).reshape(-1, *crowd.shape), axes, stain
