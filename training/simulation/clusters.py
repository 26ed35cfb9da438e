"""Clusters: chromosomes apart, against each other and across each other on a canvas."""

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
_MAX_TRIES = 14  # positions tried for a chromosome apart from all others
_MAX_STEPS = 40  # px that a chromosome slides away from another one, at most

MakeChromosome = Callable[[float | None, float], DeformedChromosome | None]
"""Function that makes the next chromosome from its heading (any if None) at a place along its axis, 0..1.

It returns None if there is no chromosome."""


@dataclass(frozen=True, slots=True)
class PlacedChromosome:
    """Chromosome on the canvas."""

    chromosome: DeformedChromosome
    x: int
    """Column of the upper left pixel of its patch."""
    y: int
    """Row of the upper left pixel of its patch."""
    group: int
    """Number of the group of chromosomes that were placed on each other."""


class Cluster:
    """Chromosomes on a canvas; their patches may exceed it.

    Args:
        shape: (H, W) of the canvas.
        gap: distance between chromosomes that are placed apart, pixels, at least.
        max_covered: share of a chromosome that those placed before may cover, 0..1.
        max_members: chromosomes of a group, at most; others may touch it by chance.
    """

    def __init__(self, shape: tuple[int, int], gap: float, max_covered: float = 0.45, max_members: int = 5) -> None:
        self.shape = shape
        self.covers = np.zeros(shape, np.uint8)
        """(H, W) number of chromosomes on each pixel."""
        self.members: list[PlacedChromosome] = []
        self._near = np.zeros(shape, bool)
        side = 2 * max(1, round(gap)) + 1
        self._disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
        self._max_covered, self._max_members = max_covered, max_members

    def window(self, chromosome: DeformedChromosome, x: int, y: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the part of the canvas that a patch covers, and the same part of the patch."""
        return Contour(chromosome.mask, (x, y)).window(self.shape)

    def add(self, chromosome: DeformedChromosome, x: int, y: int, group: int) -> None:
        """Place a chromosome with the upper left pixel of its patch at ``x``, ``y``."""
        canvas, part = self.window(chromosome, x, y)
        self.covers[canvas] += chromosome.mask[part]
        margin = self._disc.shape[0] // 2
        wide = cv2.dilate(np.pad(chromosome.mask, margin).astype(np.uint8), self._disc) > 0
        canvas, part = Contour(wide, (x - margin, y - margin)).window(self.shape)
        self._near[canvas] |= wide[part]
        self.members.append(PlacedChromosome(chromosome, x, y, group))

    def place_apart(self, chromosome: DeformedChromosome, draw_position: Callable[[], tuple[float, float]]) -> bool:
        """Place a chromosome apart from all others.

        Args:
            chromosome: chromosome to place.
            draw_position: draws x, y of the middle of its axis.

        Returns:
            False if there is no room.
        """
        middle = chromosome.axis[len(chromosome.axis) // 2]
        for _ in range(_MAX_TRIES):
            x, y = (round(a) for a in np.array(draw_position()) - middle)
            canvas, part = self.window(chromosome, x, y)
            if not (self._near[canvas] & chromosome.mask[part]).any():
                self.add(chromosome, x, y, len(self.members))
                return True
        return False

    def place_on_another(
        self, relation: Relation, make: MakeChromosome, width: float, rng: np.random.Generator
    ) -> bool:
        """Place a chromosome in a relation to one that is on the canvas.

        Args:
            relation: any of ``RELATIONS`` but ``apart``.
            make: makes the chromosome.
            width: width of a chromosome, pixels.
            rng: source of randomness.

        Returns:
            False if it does not fit.
        """
        host = self.members[int(rng.integers(len(self.members)))]
        if sum(member.group == host.group for member in self.members) >= self._max_members:
            return False
        place, host_place = _places(relation, rng)
        axis = host.chromosome.axis + np.array((host.x, host.y))
        foot = round(host_place * (len(axis) - 1))
        tangent = np.diff(axis[max(0, foot - 3) : foot + 4][[0, -1]], axis=0)[0]
        heading = float(np.arctan2(tangent[1], tangent[0]))
        if relation == "end_to_end":
            outward = heading if host_place > 0.5 else heading + np.pi
            turn = (outward if place < 0.5 else outward + np.pi) - heading + rng.normal(0, 0.25)
            away = outward
        else:
            turn = _turn(relation, rng)
            away = heading + rng.choice((-1, 1)) * np.pi / 2
        chromosome = make(heading + turn, place)
        if chromosome is None:
            return False
        start = axis[foot] - chromosome.axis[round(place * (len(chromosome.axis) - 1))]
        slides = relation in ("touching", "parallel", "end_to_end")
        least, most = (0.0, rng.choice((0.0, 0.03, 0.1))) if slides else (0.02, self._max_covered)
        first = 0.6 * width if relation == "parallel" else 0.0
        for step in range(_MAX_STEPS if slides else 1):
            distance = first + 1.0 * step
            x, y = round(start[0] + distance * np.cos(away)), round(start[1] + distance * np.sin(away))
            canvas, part = self.window(chromosome, x, y)
            mask: NDArray[np.bool_] = chromosome.mask[part]
            area = max(1, int(np.count_nonzero(chromosome.mask)))
            covered = int(np.count_nonzero(mask & (self.covers[canvas] > 0))) / area
            if least <= covered <= most and not (mask & (self.covers[canvas] > 2)).any():
                self.add(chromosome, x, y, host.group)
                return True
        return False


def _places(relation: Relation, rng: np.random.Generator) -> tuple[float, float]:
    """Return the places along the axes of both chromosomes, 0..1, where they meet."""

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
    """Return the angle between both axes where they meet, radians."""
    if relation == "parallel":
        return float(rng.normal(0, 0.15) + np.pi * rng.integers(2))
    if relation == "touching":
        return float(rng.uniform(0, 2 * np.pi))
    return float(rng.choice((-1, 1)) * rng.uniform(0.5, np.pi - 0.5))


def masks_and_stain(
    cluster: Cluster, min_area: float
) -> tuple[NDArray[np.bool_], list[NDArray[np.float32]], NDArray[np.float32]]:
    """Return masks and axes of the visible chromosomes, and the stain of all.

    Args:
        cluster: chromosomes on a canvas (H, W).
        min_area: visible area of a chromosome, pixels, at least.

    Returns:
        (N, H, W) masks, N axes (K, 2) of x, y, and (H, W) stain; stains of overlaps add.
    """
    stain = np.zeros(cluster.shape, np.float32)
    masks, axes = [], []
    for member in cluster.members:
        canvas, part = cluster.window(member.chromosome, member.x, member.y)
        stain[canvas] += member.chromosome.stain[part]
        if np.count_nonzero(member.chromosome.mask[part]) >= min_area:
            mask = np.zeros(cluster.shape, bool)
            mask[canvas] = member.chromosome.mask[part]
            masks.append(mask)
            axes.append(member.chromosome.axis + np.array((member.x, member.y), np.float32))
    return np.array(masks, bool).reshape(-1, *cluster.shape), axes, stain
