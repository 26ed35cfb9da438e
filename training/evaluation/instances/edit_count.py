"""Edits that an operator needs to correct a segmented metaphase image, and right outlines.

The T chromosomes and R results of one image enter as their overlaps in pixels (:class:`Overlaps`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from karyotyping.arrays import Bools, Floats, Ints

MATCH_IOU = 0.5  # least IoU of a result and its chromosome; a touch to a matched outline is no edit
MAJORITY = 0.5  # least share of a chromosome that a result holds, or of a result that is a chromosome's piece
RIGHT_IOU = 0.8  # least IoU of a right outline
SECOND_SHARE = 0.25  # least share of a second chromosome in a result, without the pixels that both truly share


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Overlaps of T chromosomes and R results."""

    iou: Floats
    """(T, R) 0..1."""
    of_truth: Floats
    """(T, R) share of the chromosome inside the result."""
    of_result: Floats
    """(T, R) share of the result inside the chromosome."""
    second: Floats
    """(R,) largest share in the result of a chromosome other than the one with the highest IoU.

    Pixels that both chromosomes truly share are left out.
    """
    excused: Bools
    """(R,) whether most of the result is inside a region where results do not count."""


@dataclass(frozen=True, slots=True)
class Corrections:
    """Right outlines of one image, and the edits that make its results right.

    They are right if every chromosome has one result and no other result is left.
    """

    chromosomes: int
    results: int
    """Without the excused ones."""
    right: int
    """Chromosomes with a right outline."""
    splits: int
    joins: int
    deletions: int
    additions: int

    @property
    def edits(self) -> int:
        """Sum of all edits."""
        return self.splits + self.joins + self.deletions + self.additions


def match_one_to_one(iou: Floats) -> Ints:
    """Match chromosomes and results one to one, at IoU .5 and with the greatest sum of IoU.

    Scores play no part: an operator does not see them.

    Args:
        iou: (T, R) 0..1.

    Returns:
        (T,) the result of each chromosome, -1 for none.

    >>> match_one_to_one(np.array([[0.9, 0.6], [0.7, 0.1]])).tolist()  # 0.6 + 0.7 is more than 0.9, and both are found
    [1, 0]
    >>> match_one_to_one(np.array([[0.9, 0.8], [0.4, 0.0]])).tolist()
    [0, -1]
    """
    partner = np.full(iou.shape[0], -1, np.int64)
    valued = np.where(iou >= MATCH_IOU, iou, 0.0)
    rows, columns = linear_sum_assignment(valued, maximize=True)
    real = valued[rows, columns] > 0
    partner[rows[real]] = columns[real]
    return partner


def count_corrections(overlaps: Overlaps) -> Corrections:
    """Count right outlines and edits.

    An outline is **right** if its result is matched at IoU .8 or more and holds less than a quarter of a second
    chromosome. IoU alone lets a long chromosome swallow a short one.

    Matched pairs, at IoU .5, cost nothing. The others fall into three groups:

    * A chromosome without a result is *held* by the result that holds most of it, at least half.
    * A result is a *duplicate* if it has no chromosome, holds none, and its IoU is above .5 with a matched chromosome.
    * A result that has and holds none is a *piece* of the chromosome that contains most of it, at least half.

    Each edit is counted as follows:

    * **Splits**: n for a matched result that holds n more chromosomes. Else n - 1, and at least one: with n = 1 the
      result is mostly something that has to be cut away.
    * **Joins**: p for the p pieces of a chromosome that is matched or held. Else p - 1, if they make up half of it.
    * **Deletions**: one for any other piece, a duplicate, and every other result that is not excused.
    * **Additions**: one for any other chromosome.

    Two chromosomes in one result, matched with neither, need one split.

    >>> two_in_one = np.array([[0.49], [0.49]])
    >>> count_corrections(Overlaps(two_in_one, np.ones((2, 1)), two_in_one, np.ones(1), np.zeros(1, bool)))
    Corrections(chromosomes=2, results=1, right=0, splits=1, joins=0, deletions=0, additions=0)

    One chromosome in two halves needs one join. A third result, far from all, needs a deletion unless it is excused.

    >>> halves, inside, nowhere = np.array([[0.49, 0.45, 0]]), np.array([[1.0, 1, 0]]), np.zeros(3)
    >>> count_corrections(Overlaps(halves, halves, inside, nowhere, np.zeros(3, bool)))
    Corrections(chromosomes=1, results=3, right=0, splits=0, joins=1, deletions=1, additions=0)
    >>> count_corrections(Overlaps(halves, halves, inside, nowhere, np.array([False, False, True])))
    Corrections(chromosomes=1, results=2, right=0, splits=0, joins=1, deletions=0, additions=0)
    """
    partner = match_one_to_one(overlaps.iou)
    matched = partner >= 0
    taken = np.isin(np.arange(overlaps.iou.shape[1]), partner)
    held = _majority(np.where(matched[:, None], 0, overlaps.of_truth))
    holds = Counter(held[held >= 0].tolist())
    free = ~taken & ~np.isin(np.arange(len(taken)), held)
    duplicate = free & (overlaps.iou > MATCH_IOU).any(axis=0)  # at just .5, the other half
    piece_of = _majority(np.where(free & ~duplicate, overlaps.of_result, 0).T)
    splits = sum(n if taken[result] else max(n - 1, 1) for result, n in holds.items())
    joins = deletions = additions = 0
    for truth in range(len(partner)):
        pieces = np.flatnonzero(piece_of == truth)
        if matched[truth] or held[truth] >= 0:
            joins += len(pieces)
        elif len(pieces) and overlaps.of_truth[truth, pieces].sum() >= MAJORITY:
            joins += len(pieces) - 1
        else:
            additions += 1
            deletions += len(pieces)
    useless = free & (piece_of < 0)
    deletions += int((useless & ~overlaps.excused).sum())
    truths = np.flatnonzero(matched)
    right = (overlaps.iou[truths, partner[truths]] >= RIGHT_IOU) & (overlaps.second[partner[truths]] < SECOND_SHARE)
    return Corrections(
        chromosomes=len(partner),
        results=len(taken) - int((useless & overlaps.excused).sum()),
        right=int(right.sum()),
        splits=splits,
        joins=joins,
        deletions=deletions,
        additions=additions,
    )


def _majority(share: Floats) -> Ints:
    """Return (N,) the column of the largest of (N, M) shares, -1 if that is less than half.

    >>> _majority(np.array([[0.2, 0.6], [0.3, 0.4]])).tolist()
    [1, -1]
    """
    if not share.shape[1]:
        return np.full(len(share), -1, np.int64)
    return np.where(share.max(axis=1) >= MAJORITY, share.argmax(axis=1), -1).astype(np.int64)
