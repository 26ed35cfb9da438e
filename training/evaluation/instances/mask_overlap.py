"""Overlaps of results and chromosomes, counted in run-length codes without decoding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as rle

from karyotyping.arrays import Floats
from training.evaluation.instances.edit_count import MAJORITY, Overlaps
from training.evaluation.instances.matching import Comparison, coco_index

Code = dict[str, Any]
"""A mask as COCO's compressed run lengths."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The masks of one image."""

    truth: list[Code]
    results: list[Code]
    crowd: list[Code]
    """Regions where results do not count."""


def outlines(comparison: Comparison, min_score: float) -> list[Outlines]:
    """Return the masks per image; a box replaces a mask that is absent.

    Args:
        comparison: a truth and its results.
        min_score: least score, 0..1, of the results.
    """
    truth, results = (coco_index(comparison, side, "segm") for side in (comparison.truth, comparison.results))
    return [
        Outlines(
            [truth.annToRLE(item) for item in truth.imgToAnns[number] if not item["iscrowd"]],
            [results.annToRLE(item) for item in results.imgToAnns[number] if item["score"] >= min_score],
            [truth.annToRLE(item) for item in truth.imgToAnns[number] if item["iscrowd"]],
        )
        for number in range(len(comparison.images))
    ]


def measure_overlaps(image: Outlines) -> Overlaps:
    """Measure the overlaps; a result is excused if one crowd region has half of it."""
    truth, results = image.truth, image.results
    iou, of_result = _shares(results, truth, crowd=False).T, _shares(results, truth, crowd=True).T
    of_truth = _shares(truth, results, crowd=True)
    second = np.array([_second_share(truth, code, iou[:, r], of_truth[:, r]) for r, code in enumerate(results)], float)
    excused = _shares(results, image.crowd, crowd=True).max(axis=1, initial=0.0) >= MAJORITY
    return Overlaps(iou, of_truth, of_result, second, excused)


def _shares(codes: Sequence[Code], others: Sequence[Code], *, crowd: bool) -> Floats:
    """Return (N, M) the IoU of N codes and M others, or with ``crowd`` each code's share inside."""
    if not codes or not others:
        return np.zeros((len(codes), len(others)))
    return np.asarray(rle.iou(list(codes), list(others), [int(crowd)] * len(others)), float)


def _second_share(truth: Sequence[Code], result: Code, iou: Floats, of_truth: Floats) -> float:
    """Return ``Overlaps.second`` of one result, from its (T,) ``iou`` and its (T,) ``of_truth``."""
    if not iou.any():
        return 0.0
    first = int(iou.argmax())
    largest = 0.0
    for other in np.flatnonzero(of_truth > 0).tolist():
        if other == first:
            continue
        common = rle.merge([truth[first], truth[other]], intersect=True)
        shared = int(rle.area(common))
        own = int(rle.area(truth[other])) - shared
        inside = of_truth[other] * (own + shared) - int(rle.area(rle.merge([common, result], intersect=True)))
        largest = max(largest, float(inside) / own if own else 0.0)
    return largest
