"""Select the candidates that together explain the stain of an image, each chromosome once.

A candidate may be a chromosome, two adjacent ones, or half of one; alone each is plausible. The network also predicts
the number of chromosomes on every pixel. The energy of a selection has a label term, the scores of its members, and a
data term, the pixels it leaves unexplained or explains twice (as in PEARL, Isack & Boykov 2012). Two candidates of
one chromosome cost extra, however probable each is. Candidates join greedily. Then each one left out replaces its
rivals where that improves the energy. If the count is far from normal, selection is repeated with a lower or higher
prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heapreplace

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32, Ints
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import shared_areas
from karyotyping.segmentation.instance_decoding import Candidate

_MAX_ROUNDS = 3  # rounds of exchange
_RIVAL_OVERLAP = 0.5  # share of the smaller candidate, 0..1, from which on both are seldom whole chromosomes
_DUPLICATE_OVERLAP = 0.7  # share of the smaller candidate, 0..1, above which both show one chromosome
_DUPLICATE_COST = 4.0  # log odds of each such pair in a selection
_COUNT_TOLERANCE = 2  # chromosomes around the normal count
_MAX_DEFICIT = 10  # chromosomes; a larger deficit means an incomplete cell
_MIN_IMPROVEMENT = 1e-6  # log odds, above rounding errors
_MIN_SCORE = 1e-4  # scores are clipped to it before log odds


@dataclass(frozen=True, slots=True)
class SelectionParameters:
    """Weights of the energy, log odds."""

    explained: float = 5.0
    """Bonus of a candidate that explains one missing chromosome on all its pixels; its negative if on none."""
    prior: float = -0.5
    """Bonus of every candidate in addition to its score."""
    astray: float = 0.33
    """Change of the prior for each chromosome beyond tolerance.

    It is subtracted above the normal count, where chromosomes are probably split, and added below it, where they are
    probably merged.
    """
    most_astray: float = 2.0
    """Largest change of the prior; trisomic and triploid cells exist too."""


@dataclass(frozen=True, slots=True)
class Footprints:
    """Pixels of the N candidates of one image, whatever their scores."""

    pixels: list[NDArray[np.intp]]
    """Indices into the flat maps."""
    area: Ints
    """(N,) number of these pixels, at least 1."""
    shared: list[dict[int, int]]
    """Pixels that each candidate shares with others, by their index."""
    explained: dict[tuple[int, frozenset[int]], float] = field(default_factory=dict)
    """Pixels that a candidate explains given these selected ones, as far as they were computed."""

    @classmethod
    def of(cls, candidates: Sequence[Candidate], shape: tuple[int, ...]) -> Footprints:
        """Return the pixels of candidates in maps of this shape."""
        pixels = [np.ravel_multi_index(item.region.pixels(shape), shape) for item in candidates]
        area = np.array([max(1, len(own)) for own in pixels])
        return cls(pixels, area, shared_areas([item.region for item in candidates]))


def select(
    candidates: Sequence[Candidate],
    depth: Floats32,
    parameters: SelectionParameters,
    known_count: int = 0,
    footprints: Footprints | None = None,
) -> list[Candidate]:
    """Return the selected candidates by falling score, which is now given all other members.

    Args:
        candidates: of one image, in pixels of the maps.
        depth: (h, w) expected number of chromosomes on each pixel of the maps, 0..2.
        parameters: weights of the energy.
        known_count: chromosomes of the image that are not among the candidates.
        footprints: of the candidates, for one ``depth``; None computes them.
    """
    footprints = footprints or Footprints.of(candidates, depth.shape)
    selected = _minimise(candidates, footprints, depth, parameters)
    limit = parameters.most_astray
    deviation = _count_deviation(known_count + len(selected))
    change = float(np.clip(parameters.astray * deviation, -limit, limit))
    if change:
        selected = _minimise(candidates, footprints, depth, replace(parameters, prior=parameters.prior - change))
    return sorted(selected, key=lambda item: -item.score)


def _count_deviation(count: int) -> int:
    """Return chromosomes beyond tolerance around the nearest number of cells; < 0 is too few.

    Incomplete cells, with a deficit above ``_MAX_DEFICIT``, give 0.

    >>> [_count_deviation(count) for count in (30, 36, 43, 44, 46, 48, 51, 67, 70, 94, 97)]
    [0, -8, -1, 0, 0, 0, 3, 19, 0, 0, 3]
    """
    difference = count - NORMAL_COUNT * max(1, round(count / NORMAL_COUNT))
    if difference < -_MAX_DEFICIT:
        return 0
    return max(0, difference - _COUNT_TOLERANCE) + min(0, difference + _COUNT_TOLERANCE)


def _minimise(
    candidates: Sequence[Candidate], footprints: Footprints, depth: Floats32, parameters: SelectionParameters
) -> list[Candidate]:
    if not candidates:
        return []
    selection = _Selection(candidates, footprints, depth, parameters)
    selection.grow()
    for _ in range(_MAX_ROUNDS):
        if not selection.exchange():
            break
    return selection.members()


class _Selection:
    """Members of a selection, and the number of chromosomes that each pixel still lacks."""

    def __init__(
        self, candidates: Sequence[Candidate], footprints: Footprints, depth: Floats32, parameters: SelectionParameters
    ) -> None:
        self._candidates = candidates
        self._footprints, self._area = footprints, footprints.area
        self._typical_area = float(np.median(self._area))
        score = np.clip([item.score for item in candidates], _MIN_SCORE, 1 - _MIN_SCORE)
        self._log_odds = np.log(score / (1 - score)) + parameters.prior
        self._explained_weight = parameters.explained
        self._balance = 2.0 * depth.astype(np.float64).ravel() - 1.0  # of n chromosomes that a pixel lacks: 2 n - 1
        self._members: set[int] = set()
        self._rivals: list[list[int]] = [[] for _ in candidates]
        self._duplicates: list[set[int]] = [set() for _ in candidates]
        areas = self._area.tolist()
        for j, shared in enumerate(footprints.shared):
            for k, overlap in shared.items():
                smaller = min(areas[j], areas[k])
                if overlap >= _RIVAL_OVERLAP * smaller:
                    self._rivals[j].append(k)
                if overlap > _DUPLICATE_OVERLAP * smaller:
                    self._duplicates[j].add(k)

    def _explained_pixels(self, k: int) -> float:
        """Return pixels that candidate ``k`` would explain, less those explained once too often."""
        around = k, frozenset(filter(self._members.__contains__, self._footprints.shared[k]))
        if around not in self._footprints.explained:
            balance = self._balance.take(self._footprints.pixels[k])
            self._footprints.explained[around] = float(np.minimum(np.maximum(balance, -1.0), 1.0).sum())
        return self._footprints.explained[around]

    def _gain(self, k: int) -> float:
        """Return the gain of log odds if candidate ``k``, which is no member, joins."""
        duplicated = _DUPLICATE_COST * len(self._duplicates[k] & self._members)
        explained = self._explained_weight * self._explained_pixels(k) / self._typical_area
        return float(self._log_odds[k]) + explained - duplicated

    def _add(self, k: int) -> None:
        self._balance[self._footprints.pixels[k]] -= 2.0
        self._members.add(k)

    def _remove(self, k: int) -> None:
        self._balance[self._footprints.pixels[k]] += 2.0
        self._members.remove(k)

    def _others(self) -> set[int]:
        return set(range(len(self._candidates))) - self._members

    def grow(self) -> None:
        """Add candidates by falling gain while any gains."""
        self._join(self._others())

    def _join(self, others: set[int]) -> dict[int, float]:
        """Add the best of ``others`` while any gains; return the gains of those added."""
        queue, joined = [(-self._gain(k), k) for k in others], {}
        heapify(queue)
        while queue and queue[0][0] < 0:
            loss, best = queue[0]
            gain = self._gain(best)  # members since queued may have lowered it
            if gain < -loss:
                heapreplace(queue, (-gain, best))
                continue
            heappop(queue)
            self._add(best)
            joined[best] = gain
        return joined

    def exchange(self) -> bool:
        """Replace rivals of candidates left out where that gains; return whether anything changed."""
        changed = False
        for k in sorted(self._others(), key=lambda k: -self._log_odds[k]):
            rivals = [j for j in self._rivals[k] if j in self._members]
            if not rivals or k in self._members:
                continue
            lost = 0.0
            for j in rivals:
                self._remove(j)
                lost += self._gain(j)
            gained = self._gain(k)
            self._add(k)
            freed = {m for j in rivals for m in self._rivals[j]} - self._members
            joined = self._join(freed)
            if gained + sum(joined.values()) > lost + _MIN_IMPROVEMENT:
                changed = True
                continue
            for m in (k, *joined):
                self._remove(m)
            for j in rivals:
                self._add(j)
        return changed

    def members(self) -> list[Candidate]:
        """Return the members, each scored given all others."""
        result = []
        for k in sorted(self._members):
            self._remove(k)
            log_odds = self._log_odds[k] + self._explained_weight * self._explained_pixels(k) / self._area[k]
            self._add(k)
            result.append(replace(self._candidates[k], score=float(1 / (1 + np.exp(-log_odds)))))
        return result
