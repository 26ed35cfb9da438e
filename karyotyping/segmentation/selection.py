"""Which candidates a photograph shows: those that together explain its stain best, each chromosome told once.

A candidate may be a chromosome, two that lie side by side, or half of one; each alone looks right. The network also
says how many chromosomes lie on every pixel. A choice costs what it leaves unexplained or explains twice, and is worth
what the scores of its members are (an energy of labels and data, as in PEARL, Isack & Boykov 2012). Candidates join
greedily; then those that were left out replace the ones they conflict with, where that is better. Where more are told
than cells have, or a few less than that, all is chosen again from candidates that are worth less, or more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heapreplace

import numpy as np
from numpy.typing import NDArray

from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import overlapping_pairs
from karyotyping.segmentation.instance_decoding import Candidate

_ROUNDS = 3
"""At most so often every candidate that was left out is tried again."""
_CONFLICT = 0.5
"""Candidates that share this much of the smaller cannot both be whole chromosomes, most times."""
_SPARE, _LACKING = 2, 10
"""Chromosomes more or less than a normal cell has that are nothing unusual, and how many less are a cell in part."""
_BETTER = 1e-6
"""Log odds that a change must gain, lest rounding change it back."""


@dataclass(frozen=True, slots=True)
class SelectionParameters:
    """The weights are log odds."""

    explained: float = 5.0
    """Of a candidate whose every pixel wants one more chromosome; its negative if none does."""
    prior: float = -0.5
    """Of any candidate, beside those of its own score."""
    astray: float = 0.33
    """How much less every candidate is worth for each chromosome that is told beyond what cells have, as rather one has
    been told in pieces, and how much more for each that is missing: rather two have been told in one."""
    most_astray: float = 2.0
    """The same at most: trisomies and triploid cells are there too."""


def select(
    candidates: Sequence[Candidate], depth: NDArray[np.float32], parameters: SelectionParameters, told: int = 0
) -> list[Candidate]:
    """The candidates that are chosen, best first, each with the probability that the whole choice leaves it.

    Args:
        candidates: in the pixels of the maps.
        depth: (h, w) how many chromosomes are expected on each pixel of the maps, 0..2.
        parameters: what a score and what an explained pixel are worth.
        told: chromosomes of the photograph that are known beside them.
    """
    chosen = _choose(candidates, depth, parameters)
    most = parameters.most_astray
    worse = float(np.clip(parameters.astray * _astray(told + len(chosen)), -most, most))
    if worse:
        chosen = _choose(candidates, depth, replace(parameters, prior=parameters.prior - worse))
    return sorted(chosen, key=lambda item: -item.score)


def _astray(count: int) -> int:
    """Chromosomes beyond those of one normal cell, or of as many as there may be in the photograph; < 0: too few.

    >>> [_astray(count) for count in (30, 36, 43, 44, 46, 48, 51, 67, 70, 94, 97)]
    [0, -8, -1, 0, 0, 0, 3, 19, 0, 0, 3]
    """
    beyond = count - NORMAL_COUNT * max(1, round(count / NORMAL_COUNT))
    if beyond < -_LACKING:
        return 0
    return max(0, beyond - _SPARE) + min(0, beyond + _SPARE)


def _choose(
    candidates: Sequence[Candidate], depth: NDArray[np.float32], parameters: SelectionParameters
) -> list[Candidate]:
    if not candidates:
        return []
    choice = _Choice(candidates, depth, parameters)
    choice.grow()
    for _ in range(_ROUNDS):
        if not choice.exchange():
            break
    return choice.scored()


class _Choice:
    """Which candidates are in, and how many chromosomes each pixel still wants."""

    def __init__(
        self, candidates: Sequence[Candidate], depth: NDArray[np.float32], parameters: SelectionParameters
    ) -> None:
        self._candidates = candidates
        self._pixels = [np.ravel_multi_index(item.region.pixels(depth.shape), depth.shape) for item in candidates]
        self._area = np.array([max(1, len(pixels)) for pixels in self._pixels])
        self._typical = float(np.median(self._area))
        score = np.clip([item.score for item in candidates], 1e-4, 1 - 1e-4)
        self._worth = np.log(score / (1 - score)) + parameters.prior
        self._explained = parameters.explained
        self._wanted = depth.astype(np.float64).ravel()
        self._chosen: set[int] = set()
        self._rivals: list[list[int]] = [[] for _ in candidates]
        for j, k in overlapping_pairs([item.region for item in candidates]):
            if self._conflict(j, k):
                self._rivals[j].append(k)
                self._rivals[k].append(j)

    def _explains(self, k: int) -> float:
        """Pixels that candidate ``k`` would explain, less those that it would explain once too often."""
        wanted = self._wanted[self._pixels[k]]
        return float((np.abs(wanted) - np.abs(wanted - 1)).sum())

    def _gain(self, k: int) -> float:
        """What the choice gains from candidate ``k``, which is not in it."""
        return float(self._worth[k]) + self._explained * self._explains(k) / self._typical

    def _put(self, k: int, into: bool) -> None:
        self._wanted[self._pixels[k]] += -1 if into else 1
        (self._chosen.add if into else self._chosen.remove)(k)

    def grow(self) -> None:
        """Let join what gains most, as long as anything gains."""
        self._join(set(range(len(self._candidates))) - self._chosen)

    def _join(self, left: set[int]) -> dict[int, float]:
        """Those of ``left`` that were worth joining, one after another, and what each gained."""
        hoped, joined = [(-self._gain(k), k) for k in left], {}
        heapify(hoped)
        while hoped and hoped[0][0] < 0:
            loss, best = hoped[0]
            # Others may have joined since it was looked at.
            gain = self._gain(best)
            if gain < -loss:
                heapreplace(hoped, (-gain, best))
                continue
            heappop(hoped)
            self._put(best, into=True)
            joined[best] = gain
        return joined

    def exchange(self) -> bool:
        """Let those that were left out replace the ones they conflict with, where the choice gains; whether any did."""
        changed = False
        for k in sorted(set(range(len(self._candidates))) - self._chosen, key=lambda k: -self._worth[k]):
            rivals = [j for j in self._rivals[k] if j in self._chosen]
            if not rivals or k in self._chosen:
                continue
            lost = 0.0
            for j in rivals:
                self._put(j, into=False)
                lost += self._gain(j)
            gained = self._gain(k)
            self._put(k, into=True)
            others = {m for j in rivals for m in self._rivals[j]} - self._chosen
            joined = self._join(others)
            if gained + sum(joined.values()) > lost + _BETTER:
                changed = True
                continue
            for m in (k, *joined):
                self._put(m, into=False)
            for j in rivals:
                self._put(j, into=True)
        return changed

    def _conflict(self, j: int, k: int) -> bool:
        shared = self._candidates[j].region.overlap_area(self._candidates[k].region)
        return bool(shared >= _CONFLICT * min(self._area[j], self._area[k]))

    def scored(self) -> list[Candidate]:
        """The chosen with the probability of their log odds, each against all others."""
        result = []
        for k in sorted(self._chosen):
            self._put(k, into=False)
            odds = self._worth[k] + self._explained * self._explains(k) / self._area[k]
            self._put(k, into=True)
            result.append(replace(self._candidates[k], score=float(1 / (1 + np.exp(-odds)))))
        return result
