"""What an operator would have to do to a segmented metaphase: split, join, delete, add; and which outlines are right.

T chromosomes and R results of one image are told by how they lie over each other, in pixels (:class:`Overlaps`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from karyotyping.arrays import Bools, Floats

MATCHED = 0.5
"""IoU from which a result is a chromosome's: what has to be done to it is no edit, at most a touch to its outline."""
MOST = 0.5
"""A chromosome lies in a result, or a result in a chromosome, with at least this share of it."""
RIGHT = 0.8
"""IoU from which an outline is right."""
SECOND = 0.25
"""A second chromosome is in a result if this share of it is, of what it does not truly share with the first."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """How T chromosomes and R results lie over each other."""

    iou: Floats
    """(T, R)"""
    of_truth: Floats
    """(T, R) share of the chromosome that lies in the result."""
    of_result: Floats
    """(T, R) share of the result that lies in the chromosome."""
    second: Floats
    """(R,) of the chromosomes other than the one with the highest IoU: the largest share that lies in the result,
    pixels that both truly share left aside."""
    excused: Bools
    """(R,) most of the result lies where results do not count."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """One image: what is right, and what has to be done until every chromosome has one result and nothing else has."""

    chromosomes: int
    results: int
    """Those excused left out."""
    right: int
    """Chromosomes with a right outline."""
    splits: int
    joins: int
    deletions: int
    additions: int

    @property
    def edits(self) -> int:
        """All that has to be done."""
        return self.splits + self.joins + self.deletions + self.additions


def pairs(iou: Floats) -> NDArray[np.int64]:
    """The matching of chromosomes and results, one to one, at IoU .5 and with the greatest sum of IoU.

    Args:
        iou: (T, R).

    Returns:
        (T,) the result of each chromosome, -1 for none. Scores play no part: an operator does not see them.

    >>> pairs(np.array([[0.9, 0.6], [0.7, 0.1]])).tolist()  # 0.6 + 0.7 is more than 0.9, and both are found
    [1, 0]
    >>> pairs(np.array([[0.9, 0.8], [0.4, 0.0]])).tolist()
    [0, -1]
    """
    partner = np.full(iou.shape[0], -1, np.int64)
    valued = np.where(iou >= MATCHED, iou, 0.0)
    rows, columns = linear_sum_assignment(valued, maximize=True)
    real = valued[rows, columns] > 0
    partner[rows[real]] = columns[real]
    return partner


def corrections(seen: Overlaps) -> Corrections:
    """Count right outlines and edits.

    An outline is **right** if its result is matched at IoU .8 or more and no second chromosome is in it, a quarter or
    more: IoU alone lets a long chromosome swallow a short one.

    Edits start from the matching at IoU .5, whose pairs cost nothing. A chromosome without a result is *held* by the
    result in which most of it lies, at least half. A result without a chromosome, which holds none, is a *piece* of the
    chromosome in which most of it lies, at least half, unless it is a *duplicate*, with an IoU above .5 with a
    chromosome that has its result. Then

    * a result that holds n chromosomes beside its own costs n **splits**; one that has none of its own n - 1, and at
      least one, for with n = 1 it is mostly something else that has to be cut away;
    * the p pieces of a chromosome that is matched or held cost p **joins**; else, if they make up at least half of it,
      p - 1;
    * any other piece, a duplicate, and every other result costs a **deletion**, unless it is excused;
    * any other chromosome costs an **addition**.

    Two chromosomes in one result, which is neither's: one split.

    >>> two_in_one = np.array([[0.49], [0.49]])
    >>> corrections(Overlaps(two_in_one, np.ones((2, 1)), two_in_one, np.ones(1), np.zeros(1, bool)))
    Corrections(chromosomes=2, results=1, right=0, splits=1, joins=0, deletions=0, additions=0)

    One chromosome in two halves: one join. With a third result far from all, also a deletion; were that excused, not.

    >>> halves = np.array([[0.49, 0.45, 0]])
    >>> corrections(Overlaps(halves, halves, np.array([[1.0, 1, 0]]), np.zeros(3), np.zeros(3, bool)))
    Corrections(chromosomes=1, results=3, right=0, splits=0, joins=1, deletions=1, additions=0)
    >>> corrections(Overlaps(halves, halves, np.array([[1.0, 1, 0]]), np.zeros(3), np.array([False, False, True])))
    Corrections(chromosomes=1, results=2, right=0, splits=0, joins=1, deletions=0, additions=0)
    """
    partner = pairs(seen.iou)
    matched = partner >= 0
    taken = np.isin(np.arange(seen.iou.shape[1]), partner)
    held = _most(np.where(matched[:, None], 0, seen.of_truth))
    holds = Counter(held[held >= 0].tolist())
    free = ~taken & ~np.isin(np.arange(len(taken)), held)
    duplicate = free & (seen.iou > MATCHED).any(axis=0)  # at just .5, the other half
    piece_of = _most(np.where(free & ~duplicate, seen.of_result, 0).T)
    splits = sum(n if taken[result] else max(n - 1, 1) for result, n in holds.items())
    joins = deletions = additions = 0
    for truth in range(len(partner)):
        pieces = np.flatnonzero(piece_of == truth)
        if matched[truth] or held[truth] >= 0:
            joins += len(pieces)
        elif len(pieces) and seen.of_truth[truth, pieces].sum() >= MOST:
            joins += len(pieces) - 1
        else:
            additions += 1
            deletions += len(pieces)
    useless = free & (piece_of < 0)
    deletions += int((useless & ~seen.excused).sum())
    truths = np.flatnonzero(matched)
    right = (seen.iou[truths, partner[truths]] >= RIGHT) & (seen.second[partner[truths]] < SECOND)
    return Corrections(
        chromosomes=len(partner),
        results=len(taken) - int((useless & seen.excused).sum()),
        right=int(right.sum()),
        splits=splits,
        joins=joins,
        deletions=deletions,
        additions=additions,
    )


def _most(share: Floats) -> NDArray[np.int64]:
    """(N,) for each row of (N, M) shares the column of the largest, -1 if that is less than half.

    >>> _most(np.array([[0.2, 0.6], [0.3, 0.4]])).tolist()
    [1, -1]
    """
    if not share.shape[1]:
        return np.full(len(share), -1, np.int64)
    return np.where(share.max(axis=1) >= MOST, share.argmax(axis=1), -1).astype(np.int64)
