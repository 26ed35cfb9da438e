"""Evidence of a classifier that a candidate is exactly one whole chromosome.

The segmenter sees shapes: halves, pairs and specks resemble whole chromosomes. The classifier separates them: a whole
chromosome has one probable class and the size of that class, a half has neither. A candidate that would be the third
copy of its class is less probable. A logistic model combines these terms; none of them hides a clear third copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.special import expit, logit, logsumexp

from karyotyping.arrays import Bools, Floats, Floats32
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.proposals import Proposals

_DUPLICATE_IOU = 0.85  # of masks, 0..1; candidates of one chromosome share the evidence of the first
_RIVAL_SHARE = 0.3  # of the smaller mask, 0..1; candidates that share more are not both in the cell
_ALONE_SHARE = 0.8  # of a connected foreground, 0..1, that a candidate covers if nothing touches it
_MIN_DEPTH = 0.5  # chromosomes on a pixel of the foreground
_MIN_SCORE = 1e-4  # scores are clipped to [1e-4, 1 - 1e-4] before log odds
_MIN_UNKNOWN = 1e-5  # added to probabilities before the logarithm


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the classifier recognises in N regions of one cell."""

    unknown: Floats
    """(N,) probability that it is no whole chromosome of a class, 0..1."""
    confidence: Floats
    """(N,) log odds of the most probable class."""
    classes: Floats
    """(N, 24) log evidence of each class: its probability, and the likelihood of the size, at most 0."""
    length: Floats
    """(N,) logarithm of the length over the median length of the cell's chromosomes."""
    width: Floats
    """(N,) logarithm of the width over the median width of the cell's chromosomes."""


Recognise = Callable[[Normalised, Sequence[Contour], Sequence[int]], Recognised]
"""From an image, N regions, and the indices of those that give the scale of its cell, to what is recognised."""


@dataclass(frozen=True, slots=True)
class RecognitionWeights:
    """Weights of a logistic model, log odds for one unit."""

    score: float = 0.61
    """Of the log odds of the segmenter's score."""
    known: float = 0.38
    """Of the negative logarithm of the probability of no class."""
    confidence: float = 0.31
    """Of the log odds of the most probable class."""
    agreement: float = 0.62
    """Of the log evidence of all classes, with the vacancy of each."""
    length: float = 1.36
    """Of the logarithm of the relative length."""
    width: float = 0.55
    """Of the logarithm of the relative width."""
    constant: float = 0.99
    vacancy: tuple[float, ...] = (1.4, 0.8, -2.0, -4.0)
    """Log evidence of a class of which the rest of the cell has no, one, two, or three copies."""
    alone: float = -1.0
    """Added to the segmenter's log odds of a candidate that nothing touches; the least that evidence leaves it.

    Of those with less than 0.1 by evidence alone 2 % were chromosomes in G-bands, and 36 % in Q-bands, small ones.
    """


class Evidence:
    """Everything that speaks for the candidates of one image."""

    def __init__(
        self,
        proposed: Proposals,
        chosen: Sequence[Candidate],
        recognise: Callable[[Sequence[int], Sequence[int]], Recognised],
        weights: RecognitionWeights,
        shared: Sequence[Mapping[int, int]],
    ) -> None:
        """Recognise each distinct candidate.

        Args:
            proposed: candidates of one image.
            chosen: members of a selection, which give the scale of the cell.
            recognise: the classifier of the candidates with these indices, followed by the chromosomes of the image
                that are no candidates; the second argument are the positions of ``chosen`` among the first.
            weights: of the model.
            shared: pixels that each candidate shares with others, by their index.
        """
        candidates = proposed.candidates
        self._candidates = candidates
        self._weights = weights
        self._index = {id(item.region): k for k, item in enumerate(candidates)}
        areas = [item.region.area for item in candidates]
        self._rivals = _rivals(areas, shared)
        first = _first_of_duplicates(candidates, areas, shared)
        distinct = sorted(set(first))
        place = {k: n for n, k in enumerate(distinct)}
        found = recognise(distinct, sorted({place[first[self._index[id(item.region)]]] for item in chosen}))
        rows = [place[k] for k in first]
        score = logit(np.clip([item.score for item in candidates], _MIN_SCORE, 1 - _MIN_SCORE))
        self._fixed = (
            weights.constant
            + weights.score * score
            - weights.known * np.log(found.unknown[rows] + _MIN_UNKNOWN)
            + weights.confidence * found.confidence[rows]
            + weights.length * found.length[rows]
            + weights.width * found.width[rows]
        )
        self._classes = found.classes[rows]
        self._others = _posterior(found.classes[len(distinct) :]).sum(axis=0)
        self._least = np.where(_stand_alone(candidates, proposed.depth), score + weights.alone, -np.inf)

    def rescore(self, chosen: Sequence[Candidate] | None = None) -> list[Candidate]:
        """Return the candidates with the probability that each is one whole chromosome as score.

        Args:
            chosen: members of a selection, which give the copy numbers of the cell; None: these do not count.
        """
        classes = self._classes if chosen is None else self._classes + self._vacancy(chosen)
        total = self._fixed + self._weights.agreement * logsumexp(classes, axis=1)
        scores = expit(np.maximum(total, self._least))
        return [replace(item, score=float(p)) for item, p in zip(self._candidates, scores, strict=True)]

    def _vacancy(self, chosen: Sequence[Candidate]) -> Floats:
        """Return the log evidence (N, 24) of the copies of each class that the rest of the cell has."""
        members = [self._index[id(item.region)] for item in chosen]
        posterior = _posterior(self._classes)
        copies = self._others + posterior[members].sum(axis=0) - self._rivals[:, members] @ posterior[members]
        vacancy: Floats = np.interp(copies, range(len(self._weights.vacancy)), self._weights.vacancy)
        return vacancy


def _rivals(areas: Sequence[int], shared: Sequence[Mapping[int, int]]) -> Bools:
    """Return (N, N) whether two candidates are not both in the cell, or are the same one."""
    result = np.eye(len(areas), dtype=bool)
    for k, own in enumerate(shared):
        for j, pixels in own.items():
            result[k, j] = pixels > _RIVAL_SHARE * min(areas[j], areas[k])
    return result


def _first_of_duplicates(
    candidates: Sequence[Candidate], areas: Sequence[int], shared: Sequence[Mapping[int, int]]
) -> list[int]:
    """Return for each candidate the best-scored one that has nearly its mask; most often itself."""
    first = list(range(len(candidates)))
    leads: set[int] = set()
    for k in sorted(first, key=lambda k: -candidates[k].score):
        alike = (
            j
            for j, pixels in shared[k].items()
            if j in leads and pixels >= _DUPLICATE_IOU * (areas[j] + areas[k] - pixels)
        )
        first[k] = next(alike, k)
        if first[k] == k:
            leads.add(k)
    return first


def _posterior(classes: Floats) -> Floats:
    """Return the probabilities (N, 24) of classes from their log evidence."""
    posterior: Floats = np.exp(classes - logsumexp(classes, axis=1, keepdims=True))
    return posterior


def _stand_alone(candidates: Sequence[Candidate], depth: Floats32) -> Bools:
    """Return (N,) whether a candidate covers most of its connected foreground."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((depth > _MIN_DEPTH).astype(np.uint8), connectivity=8)
    result = np.zeros(len(candidates), bool)
    for k, item in enumerate(candidates):
        covered = item.region.values(labels)
        covered = covered[covered > 0]
        if len(covered):
            label = int(np.bincount(covered).argmax())
            result[k] = np.count_nonzero(covered == label) > _ALONE_SHARE * stats[label, cv2.CC_STAT_AREA]
    return result
