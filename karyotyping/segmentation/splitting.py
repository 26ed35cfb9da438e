"""Part a cluster of chromosomes by geometry and grey values, without a network.

A cluster is cut in two, its parts again, and so on: a tree of regions. Every region is judged by how much it looks like
exactly one whole chromosome (area, straight or bent tube of one width), every cut by how much it looks like a border
between two (short, dark, between concave points). Of all ways to read the tree the likeliest is kept, so a cut happens
only where both parts look better than the whole: a bent chromosome stays in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from skimage.morphology import skeletonize as _skeletonize

from karyotyping.arrays import Grey, Mask
from karyotyping.segmentation.cut_lines import Cut, CutParameters, apply_cut, find_cuts


@dataclass(frozen=True, slots=True)
class SplitParameters:
    """The judgement of a region is a logistic function of its faults. Areas are in median chromosome areas."""

    whole: float = 3.0
    """Log odds of a region without any fault."""
    small: float = 0.45
    large: float = 1.7
    """Areas between these carry no penalty."""
    area_weight: float = 3.0
    """Per natural logarithm of area outside them."""
    uncovered_weight: float = 20.0
    """Per fraction of the area that a tube along the main axis leaves out."""
    uncovered_free: float = 0.06
    wide_weight: float = 8.0
    """Per natural logarithm of width above ``wide_free`` widths."""
    wide_free: float = 1.25
    cuts: CutParameters = field(default_factory=CutParameters)
    branching: int = 3
    """Cuts tried per region, while it is small."""
    branching_area: float = 2.6
    """Regions up to this area are small."""
    max_parts: int = 40
    """A region with more area than this many chromosomes is not cut."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a region."""

    mask: Mask
    """(h, w) in the frame of the region."""
    score: float
    """Probability that it is one whole chromosome, cuts included."""


def logistic(odds: float) -> float:
    """Probability of log odds.

    >>> logistic(0.0)
    0.5
    """
    return 1.0 / (1.0 + exp(-max(-30.0, min(30.0, odds))))


def split_region(mask: Mask, stain: Grey, width: float, area: float, parameters: SplitParameters) -> list[Part]:
    """The likeliest parts of a region; ``[whole]`` if it is best left alone.

    ``mask`` and ``stain`` are (h, w) with a margin of background; ``width`` and ``area`` those of a typical chromosome
    of the cell, pixels.
    """
    return _Reader(stain, width, area, parameters).read(mask)[1]


class _Reader:
    """Reads the tree of cuts of one region."""

    def __init__(self, stain: Grey, width: float, area: float, parameters: SplitParameters) -> None:
        self.stain, self.width, self.area, self.parameters = stain, width, area, parameters
        self.memory: dict[bytes, tuple[float, list[Part]]] = {}

    def read(self, mask: Mask) -> tuple[float, list[Part]]:
        """Log likelihood of the best reading, and its parts."""
        key = np.packbits(mask).tobytes()
        if key not in self.memory:
            self.memory[key] = self._read(mask)
        return self.memory[key]

    def _read(self, mask: Mask) -> tuple[float, list[Part]]:
        parameters = self.parameters
        size = np.count_nonzero(mask) / self.area
        odds = whole_log_odds(mask, self.width, self.area, parameters)
        best = (log(logistic(odds)), [Part(mask, logistic(odds))])
        if size < 2.0 * 0.5 * parameters.small or size > parameters.max_parts or odds > parameters.whole - 0.5:
            return best
        tries = parameters.branching if size < parameters.branching_area else 1
        for cut, pieces in self._divisions(mask, tries):
            trust = logistic(cut.odds)
            readings = [self.read(piece) for piece in pieces]
            value = log(trust) + sum(r[0] for r in readings)
            if value > best[0]:
                parts = [Part(p.mask, p.score * trust**0.5) for r in readings for p in r[1]]
                best = (value, parts)
        return best

    def _divisions(self, mask: Mask, tries: int) -> list[tuple[Cut, list[Mask]]]:
        """The likeliest cuts that leave two sizeable pieces."""
        result: list[tuple[Cut, list[Mask]]] = []
        for cut in find_cuts(mask, self.stain, self.width, self.parameters.cuts):
            pieces = apply_cut(mask, cut)
            if len(pieces) == 2 and min(np.count_nonzero(p) for p in pieces) > 0.12 * self.area:
                result.append((cut, pieces))
                if len(result) == tries:
                    break
        return result


def whole_log_odds(mask: Mask, width: float, area: float, parameters: SplitParameters) -> float:
    """Log odds that a region is exactly one whole chromosome."""
    size = np.count_nonzero(mask) / area
    odds = parameters.whole
    odds -= parameters.area_weight * (max(0.0, log(parameters.small / size)) + max(0.0, log(size / parameters.large)))
    path, depth = main_axis(mask)
    local = 2.0 * float(np.median(depth[path[:, 0], path[:, 1]]))
    line = np.ones(mask.shape, np.uint8)
    line[path[:, 0], path[:, 1]] = 0
    radius = 0.65 * max(width, min(local, 1.2 * width))
    tube = cv2.distanceTransform(line, cv2.DIST_L2, 5) <= radius
    uncovered = np.count_nonzero(mask & ~tube) / np.count_nonzero(mask)
    odds -= parameters.uncovered_weight * max(0.0, uncovered - parameters.uncovered_free)
    odds -= parameters.wide_weight * max(0.0, log(max(local, 1.0) / (parameters.wide_free * width)))
    return odds


def _thinned(mask: Mask) -> Mask:
    return np.asarray(_skeletonize(mask), np.bool_)  # type: ignore[no-untyped-call]


def main_axis(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """The longest path (N, 2: row, column) through the skeleton of a mask, and the mask's distance transform."""
    depth = np.asarray(cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5), np.float32)
    rows, columns = np.nonzero(_thinned(mask))
    if rows.size < 3:
        centre = np.unravel_index(int(np.argmax(depth)), depth.shape)
        return np.array([centre], np.intp), depth
    index = np.full(mask.shape, -1, np.int32)
    index[rows, columns] = np.arange(rows.size)
    tails, heads, lengths = [], [], []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        neighbour = index[rows + dy, columns + dx]
        there = neighbour >= 0
        tails.append(np.nonzero(there)[0])
        heads.append(neighbour[there])
        lengths.append(np.full(there.sum(), float(np.hypot(dx, dy))))
    graph = coo_array(
        (np.concatenate(lengths), (np.concatenate(tails), np.concatenate(heads))), shape=(rows.size, rows.size)
    ).tocsr()
    first = dijkstra(graph, directed=False, indices=0)
    start = int(np.argmax(np.where(np.isfinite(first), first, -1)))
    distances, previous = dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    node = int(np.argmax(np.where(np.isfinite(distances), distances, -1)))
    path = [node]
    while previous[node] >= 0:
        node = int(previous[node])
        path.append(node)
    return np.stack([rows[path], columns[path]], axis=1), depth
