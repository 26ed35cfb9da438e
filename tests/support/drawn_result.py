"""Results of a cell of rectangles, for tests of what decides between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from karyotyping.chromosome.measure import Measurement, measure_cell
from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.prediction import Prediction
from karyotyping.nomenclature.classes import CLASS_COUNT, X, Y
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Instance, Segmentation

NORMAL_MALE = (*sorted([*range(1, X)] * 2), X, Y)
LENGTH, WIDTH, PITCH = 40, 12, 60  # px
Part = tuple[Instance, Measurement, Prediction]


def draw_chromosome(place: int, class_id: int | None, *, score: float = 0.99, half: int | None = None) -> Part:
    """Return a chromosome, or its upper (0) or lower (1) half.

    One without a class resembles none.
    """
    mask = np.zeros((LENGTH + 2, WIDTH + 2), bool)
    rows = slice(1, -1) if half is None else slice(1 + half * LENGTH // 2, 1 + (half + 1) * LENGTH // 2)
    mask[rows, 1:-1] = True
    row, column = divmod(place, 8)
    joint = np.full((CLASS_COUNT, 2), -9.0)
    joint[(class_id or 1) - 1, 0] = -0.01
    prediction = Prediction(joint, 0.01 if class_id else 0.99)
    return Instance(mask, (column * PITCH, row * PITCH), score), _measure(), prediction


@cache
def _measure() -> Measurement:
    mask = np.pad(np.ones((LENGTH, WIDTH), bool), 1)
    return measure_cell([(mask.astype(np.float32), mask)])[0]


def draw_result(parts: Sequence[Part], rests: Sequence[Rest] = ()) -> ClassifiedCell:
    """Return the result with these chromosomes and rests."""
    segmentation = Segmentation(tuple(part[0] for part in parts), 0, 0, 0, 0, tuple(rests))
    return ClassifiedCell(segmentation, [part[1] for part in parts], [part[2] for part in parts])
