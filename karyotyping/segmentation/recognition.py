"""What a classifier recognises in a candidate, as evidence that it is exactly one whole chromosome.

The segmenter sees shapes: half of a chromosome, two end to end, and a speck of stain look like whole ones to
it. The classifier tells them apart: a whole chromosome 1 is surely a 1 and has its size, its halves are sure of
nothing. A logistic model combines both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from karyotyping.arrays import Floats
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour, overlapping_pairs
from karyotyping.segmentation.instance_decoding import Candidate

_DUPLICATE_IOU = 0.85  # of masks, 0..1; candidates of one chromosome share the evidence of the first
_MIN_SCORE = 1e-4  # scores are clipped to [1e-4, 1 - 1e-4] before log odds
_MIN_UNKNOWN = 1e-5  # added to probabilities before the logarithm


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the classifier recognises in N regions of one cell."""

    unknown: Floats
    """(N,) probability that it is no whole chromosome of a class, 0..1."""
    confidence: Floats
    """(N,) log odds of the most probable class."""
    agreement: Floats
    """(N,) log-likelihood of its size, given its classes."""
    length: Floats
    """(N,) logarithm of the length over the median length of the cell's chromosomes."""
    width: Floats
    """(N,) logarithm of the width over the median width of the cell's chromosomes."""


Recognise = Callable[[Normalised, Sequence[Contour], Sequence[Contour]], Recognised]
"""From an image, the chromosomes that give the scale of its cell, and N regions, to what is recognised in these."""


@dataclass(frozen=True, slots=True)
class RecognitionWeights:
    """Weights of a logistic model, log odds for one unit."""

    score: float = 0.98
    """Of the log odds of the segmenter's score."""
    known: float = 0.47
    """Of the negative logarithm of the probability of no class."""
    confidence: float = 0.15
    """Of the log odds of the most probable class."""
    agreement: float = 0.38
    """Of the log-likelihood of the size."""
    length: float = 1.71
    """Of the logarithm of the relative length."""
    width: float = 1.07
    """Of the logarithm of the relative width."""
    constant: float = -1.23


def rescore(
    candidates: Sequence[Candidate],
    regions: Sequence[Contour],
    recognise: Callable[[Sequence[Contour]], Recognised],
    weights: RecognitionWeights,
) -> list[Candidate]:
    """Return the candidates with the probability that each is one whole chromosome as score.

    Args:
        candidates: of one image.
        regions: the same candidates in pixels of the image.
        recognise: the classifier of regions of the image.
        weights: of the model.
    """
    if not candidates:
        return []
    first = _first_of_duplicates(candidates)
    distinct = sorted(set(first))
    found = recognise([regions[k] for k in distinct])
    evidence = dict(zip(distinct, _log_odds(found, weights), strict=True))
    score = np.clip([item.score for item in candidates], _MIN_SCORE, 1 - _MIN_SCORE)
    total = weights.score * np.log(score / (1 - score)) + [evidence[k] for k in first]
    return [replace(item, score=float(p)) for item, p in zip(candidates, 1.0 / (1.0 + np.exp(-total)), strict=True)]


def _log_odds(found: Recognised, weights: RecognitionWeights) -> Floats:
    return (
        weights.constant
        - weights.known * np.log(found.unknown + _MIN_UNKNOWN)
        + weights.confidence * found.confidence
        + weights.agreement * found.agreement
        + weights.length * found.length
        + weights.width * found.width
    )


def _first_of_duplicates(candidates: Sequence[Candidate]) -> list[int]:
    """Return for each candidate the best-scored one that has nearly its mask; most often itself."""
    areas = [item.region.area for item in candidates]
    near: list[list[int]] = [[] for _ in candidates]
    for j, k in overlapping_pairs([item.region for item in candidates]):
        shared = candidates[j].region.overlap_area(candidates[k].region)
        if shared >= _DUPLICATE_IOU * (areas[j] + areas[k] - shared):
            near[j].append(k)
            near[k].append(j)
    first = list(range(len(candidates)))
    leads: set[int] = set()
    for k in sorted(first, key=lambda k: -candidates[k].score):
        leader = next((j for j in near[k] if j in leads), None)
        if leader is None:
            leads.add(k)
        else:
            first[k] = leader
    return first
