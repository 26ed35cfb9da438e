"""Split a cluster of chromosomes by geometry and stain, without a network.

A cluster is cut in two, then its parts, and so on: a binary tree of regions. The log odds of a region measure whether
it is exactly one whole chromosome: area, and a straight or bent tube of one width. The log odds of a cut measure
whether it is a border between two. The most probable partition is kept, so a cut must improve both parts: a bent
chromosome stays whole.
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

from karyotyping.arrays import Floats32, Grey, Mask
from karyotyping.segmentation.cut_lines import Cut, CutParameters, apply_cut, find_cuts

_MAX_LOG_ODDS = 30.0
_MIN_PIECE_AREA = 0.12  # median chromosome areas
_TUBE_RADIUS = 0.65  # widths of the tube along the main axis
_MAX_TUBE_WIDTH = 1.2  # chromosome widths


@dataclass(frozen=True, slots=True)
class SplitParameters:
    """Terms of the log odds of a region; areas are in median chromosome areas."""

    whole: float = 3.0
    """Log odds of a region without penalties."""
    small: float = 0.45
    """Least area without a penalty."""
    large: float = 1.7
    """Largest area without a penalty."""
    area_weight: float = 3.0
    """Penalty per natural logarithm of area beyond these."""
    uncovered_weight: float = 20.0
    """Penalty per share of the area, 0..1, outside a tube along the main axis."""
    uncovered_free: float = 0.06
    """Largest share without a penalty."""
    wide_weight: float = 8.0
    """Penalty per natural logarithm of width above ``wide_free``."""
    wide_free: float = 1.25
    """Largest width without a penalty, chromosome widths."""
    cuts: CutParameters = field(default_factory=CutParameters)
    branching: int = 3
    """Cuts tried for a region up to ``branching_area``; a larger one gets one."""
    branching_area: float = 2.6
    """Largest area of a region for which several cuts are tried."""
    max_parts: int = 40
    """Largest area of a region that is cut."""


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a region."""

    mask: Mask
    """(h, w) in the frame of the region."""
    score: float
    """Probability that it is one whole chromosome, 0..1, including its cuts."""


def logistic(log_odds: float) -> float:
    """Return the probability, 0..1, of log odds.

    >>> logistic(0.0)
    0.5
    """
    return 1.0 / (1.0 + exp(-max(-_MAX_LOG_ODDS, min(_MAX_LOG_ODDS, log_odds))))


def split_region(mask: Mask, stain: Grey, width: float, area: float, parameters: SplitParameters) -> list[Part]:
    """Return the most probable partition of a region; a single part if no cut improves it.

    Args:
        mask: (h, w) of the region, with a margin of background.
        stain: (h, w) of its crop.
        width: chromosome width, pixels.
        area: median chromosome area, pixels.
        parameters: terms of the log odds.
    """
    return _CutTree(stain, width, area, parameters).best_partition(mask)[1]


class _CutTree:
    """The tree of cuts of one region, with memoised partitions."""

    def __init__(self, stain: Grey, width: float, area: float, parameters: SplitParameters) -> None:
        self.stain, self.width, self.area, self.parameters = stain, width, area, parameters
        self.partitions: dict[bytes, tuple[float, list[Part]]] = {}

    def best_partition(self, mask: Mask) -> tuple[float, list[Part]]:
        """Return the log likelihood of the best partition of a mask, and its parts."""
        key = np.packbits(mask).tobytes()
        if key not in self.partitions:
            self.partitions[key] = self._search(mask)
        return self.partitions[key]

    def _search(self, mask: Mask) -> tuple[float, list[Part]]:
        parameters = self.parameters
        size = np.count_nonzero(mask) / self.area
        log_odds = whole_log_odds(mask, self.width, self.area, parameters)
        best = (log(logistic(log_odds)), [Part(mask, logistic(log_odds))])
        if size < parameters.small or size > parameters.max_parts or log_odds > parameters.whole - 0.5:
            return best
        max_cuts = parameters.branching if size < parameters.branching_area else 1
        for cut, pieces in self._divisions(mask, max_cuts):
            probability = logistic(cut.log_odds)
            partitions = [self.best_partition(piece) for piece in pieces]
            likelihood = log(probability) + sum(value for value, _ in partitions)
            if likelihood > best[0]:
                parts = [Part(p.mask, p.score * probability**0.5) for _, part_list in partitions for p in part_list]
                best = (likelihood, parts)
        return best

    def _divisions(self, mask: Mask, max_cuts: int) -> list[tuple[Cut, list[Mask]]]:
        """Return the likeliest cuts that leave two large pieces, with these pieces."""
        result: list[tuple[Cut, list[Mask]]] = []
        for cut in find_cuts(mask, self.stain, self.width, self.parameters.cuts):
            pieces = apply_cut(mask, cut)
            if len(pieces) == 2 and min(np.count_nonzero(p) for p in pieces) > _MIN_PIECE_AREA * self.area:
                result.append((cut, pieces))
                if len(result) == max_cuts:
                    break
        return result


def whole_log_odds(mask: Mask, width: float, area: float, parameters: SplitParameters) -> float:
    """Return the log odds that an (h, w) region is exactly one whole chromosome.

    Args:
        mask: (h, w) of the region.
        width: chromosome width, pixels.
        area: median chromosome area, pixels.
        parameters: terms of the log odds.
    """
    size = np.count_nonzero(mask) / area
    log_odds = parameters.whole
    log_odds -= parameters.area_weight * (
        max(0.0, log(parameters.small / size)) + max(0.0, log(size / parameters.large))
    )
    path, depth = main_axis(mask)
    local_width = 2.0 * float(np.median(depth[path[:, 0], path[:, 1]]))
    line = np.ones(mask.shape, np.uint8)
    line[path[:, 0], path[:, 1]] = 0
    radius = _TUBE_RADIUS * max(width, min(local_width, _MAX_TUBE_WIDTH * width))
    tube = cv2.distanceTransform(line, cv2.DIST_L2, 5) <= radius
    uncovered = np.count_nonzero(mask & ~tube) / np.count_nonzero(mask)
    log_odds -= parameters.uncovered_weight * max(0.0, uncovered - parameters.uncovered_free)
    log_odds -= parameters.wide_weight * max(0.0, log(max(local_width, 1.0) / (parameters.wide_free * width)))
    return log_odds


def _thinned(mask: Mask) -> Mask:
    return np.asarray(_skeletonize(mask), np.bool_)  # type: ignore[no-untyped-call]


def main_axis(mask: Mask) -> tuple[NDArray[np.intp], Floats32]:
    """Return the longest skeleton path of an (h, w) mask, and its distance transform.

    Returns:
        (N, 2) row, column; and (h, w) distances to the background, pixels.
    """
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
        exists = neighbour >= 0
        tails.append(np.nonzero(exists)[0])
        heads.append(neighbour[exists])
        lengths.append(np.full(exists.sum(), float(np.hypot(dx, dy))))
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
