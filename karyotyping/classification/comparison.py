"""How plausible a result is, and whether another one of the same image is worth its time.

What a cell lacks counts little, and what it has more not at all: the better explanation of the image wins, not the more
usual karyotype.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import log

from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.assignment import Assignment
from karyotyping.classification.identify import assign_cell
from karyotyping.nomenclature.classes import CLASS_COUNT, X, Y
from karyotyping.nomenclature.iscn import has_too_many

_MIN_SCORE = 1e-3  # 0..1, of a class or an outline
_VACANCY = 2.0  # nats, for each chromosome that a diploid cell lacks
_UNCERTAIN_REST = 1.0  # nats, for each object that may be a chromosome


def is_unresolved(cell: ClassifiedCell) -> bool:
    """Return whether a metaphase lacks a chromosome, or has something without a class."""
    classes = _count_classes(assign_cell(cell.predictions))
    nameless = len(cell.predictions) - classes.total()
    if not cell.predictions or has_too_many(classes, unidentified=nameless):
        return False
    return nameless > 0 or _vacancies(classes) > 0 or _uncertain_rests(cell) > 0


def plausibility(cell: ClassifiedCell) -> float:
    """Return the log probability of outlines and classes, less what is unexplained, nats."""
    assigned = assign_cell(cell.predictions)
    outlines = (
        item.score * (1.0 - prediction.unknown)
        for item, prediction in zip(cell.segmentation.instances, cell.predictions, strict=True)
    )
    certain = sum(log(max(_MIN_SCORE, score)) for score in (*outlines, *(one.score for one in assigned)))
    vacancies = _vacancies(_count_classes(assigned))
    return certain - _VACANCY * vacancies - _UNCERTAIN_REST * _uncertain_rests(cell)


def _count_classes(assigned: Iterable[Assignment]) -> Counter[int]:
    return Counter(one.class_id for one in assigned if one.class_id is not None)


def _vacancies(classes: Counter[int]) -> int:
    """Return how many chromosomes a diploid cell of either sex has more than this one."""
    copies = [classes[class_id] for class_id in range(1, CLASS_COUNT + 1)]
    lacking = sum(max(0, 2 - number) for number in copies[: X - 1])
    return lacking + max(0, 2 - min(copies[X - 1], 2) - min(copies[Y - 1], 1))


def _uncertain_rests(cell: ClassifiedCell) -> int:
    return sum(rest.kind == "uncertain" for rest in cell.segmentation.rests)
