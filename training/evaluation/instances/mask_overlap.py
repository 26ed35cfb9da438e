"""How the outlines of results lie over those of chromosomes, counted in run-length codes; nothing is decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from training.evaluation.instances.edit_count import MOST, Overlaps
from training.evaluation.instances.matching import Comparison, indexed

Code = dict[str, Any]
"""A mask as COCO's compressed run lengths."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The masks of one image."""

    truth: list[Code]
    results: list[Code]
    crowd: list[Code]
    """Where results do not count."""


def outlines(comparison: Comparison, min_score: float) -> list[Outlines]:
    """Per image, with the results of at least ``min_score``; a box stands for a mask that is not there."""
    truth, results = (indexed(comparison, side, "segm") for side in (comparison.truth, comparison.results))
    return [
        Outlines(
            [truth.annToRLE(item) for item in truth.imgToAnns[number] if not item["iscrowd"]],
            [results.annToRLE(item) for item in results.imgToAnns[number] if item["score"] >= min_score],
            [truth.annToRLE(item) for item in truth.imgToAnns[number] if item["iscrowd"]],
        )
        for number in range(len(comparison.images))
    ]


def overlaps(image: Outlines) -> Overlaps:
    """A result is excused if half of it lies in one crowd region."""
    truth, results = image.truth, image.results
    iou, of_result = _shares(results, truth, crowd=False).T, _shares(results, truth, crowd=True).T
    of_truth = _shares(truth, results, crowd=True)
    second = np.array([_second(truth, code, iou[:, r], of_truth[:, r]) for r, code in enumerate(results)], float)
    excused = _shares(results, image.crowd, crowd=True).max(axis=1, initial=0.0) >= MOST
    return Overlaps(iou, of_truth, of_result, second, excused)


def _shares(these: Sequence[Code], those: Sequence[Code], *, crowd: bool) -> NDArray[np.float64]:
    """(N, M) IoU, or as a crowd's the share of each of ``these`` that lies in each of ``those``."""
    if not these or not those:
        return np.zeros((len(these), len(those)))
    return np.asarray(rle.iou(list(these), list(those), [int(crowd)] * len(those)), float)


def _second(truth: Sequence[Code], result: Code, iou: NDArray[np.float64], inside: NDArray[np.float64]) -> float:
    """The largest share of a chromosome that lies in the result beside the one that the result is of."""
    if not iou.any():
        return 0.0
    first = int(iou.argmax())
    worst = 0.0
    for other in np.flatnonzero(inside > 0).tolist():
        if other == first:
            continue
        common = rle.merge([truth[first], truth[other]], intersect=True)
        shared = int(rle.area(common))
        own = int(rle.area(truth[other])) - shared
        seen = inside[other] * (own + shared) - int(rle.area(rle.merge([common, result], intersect=True)))
        worst = max(worst, float(seen) / own if own else 0.0)
    return worst
