"""Which of two results of one image is the better one.

The segmenter's errors change when an image is rotated. A result that leaves something unexplained is compared with
one in other orientations. What a cell lacks counts little, and what it has more not at all: the better explanation of
the image wins, not the more usual karyotype.
"""

from __future__ import annotations

from math import log

from karyotyping.model import CellAnalysis
from karyotyping.nomenclature.classes import CLASS_COUNT, X, Y

_MIN_SCORE = 1e-3  # 0..1, of a class or an outline
_VACANCY = 2.0  # nats, for each chromosome that a diploid cell lacks
_UNCERTAIN_REST = 1.0  # nats, for each object that may be a chromosome


def is_unresolved(cell: CellAnalysis) -> bool:
    """Return whether a cell lacks a chromosome, or has something without a class."""
    nameless = any(item.class_id is None for item in cell.chromosomes)
    return cell.iscn is not None and (nameless or _vacancies(cell) > 0 or _uncertain_rests(cell) > 0)


def plausibility(cell: CellAnalysis) -> float:
    """Return the log probability of outlines and classes, less what is unexplained, nats."""
    scores = (score for item in cell.chromosomes for score in (item.score, item.class_score))
    certain = sum(log(max(_MIN_SCORE, score)) for score in scores)
    return certain - _VACANCY * _vacancies(cell) - _UNCERTAIN_REST * _uncertain_rests(cell)


def _vacancies(cell: CellAnalysis) -> int:
    """Return how many chromosomes a diploid cell of either sex has more than this one."""
    copies = [cell.class_counts.get(class_id, 0) for class_id in range(1, CLASS_COUNT + 1)]
    lacking = sum(max(0, 2 - number) for number in copies[: X - 1])
    return lacking + max(0, 2 - min(copies[X - 1], 2) - min(copies[Y - 1], 1))


def _uncertain_rests(cell: CellAnalysis) -> int:
    return sum(rest.kind == "uncertain" for rest in cell.rests)
