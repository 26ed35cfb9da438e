"""Instances found in metaphases against their truth: every figure that the paper and COCO report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.cell import class_name
from training.evaluation.figures import Figures, bootstrap, without_nan
from training.evaluation.matching import Comparison, ImageMatches, load, match
from training.evaluation.metrics import detection, enumeration, outcomes

HEADLINE = ("AP50", "mAP", "mAR", "WCR", "AER", "Acc", "count_exact", "count_error", "class_accuracy")
"""Figures that get a confidence interval."""


def evaluate(
    ground_truth: Path, results: Path, *, min_score: float = 0.0, resamples: int = 500, seed: int = 0
) -> dict[str, Any]:
    """Compare a COCO results list with a COCO ground truth.

    Args:
        ground_truth: COCO instances; an image may name ``unlabelled`` boxes [x, y, w, h] of objects without a label.
        results: list of ``file_name`` (or ``image_id``), ``bbox``, ``score``, ``category_id``, ``segmentation``.
        min_score: results below it do not count for enumeration and classes; average precision ranks them all.
        resamples: bootstrap resamples of the images; 0 for no confidence intervals.
        seed: of the bootstrap.

    Returns:
        ``summary``; ``counted``, with ``bbox`` and, if both sides have masks, ``segm``: the figures of ``detection``
        and ``enumeration`` whatever the classes, their ``interval95``, and ``per_class`` if the truth has classes;
        ``excused``, if the truth has unlabelled boxes: the same with results there left out; ``images``: a row per
        image, worst first. Shares are 0..1; a figure without a denominator is None.

    Raises:
        ValueError: one of the files is not in its format.
    """
    comparison = load(ground_truth, results)
    if not comparison.images:
        raise ValueError(f"{ground_truth} has no images to evaluate")
    views = {"counted": comparison} | ({"excused": comparison.excusing()} if comparison.has_unlabelled else {})
    matches = {view: {kind: match(data, kind) for kind in comparison.kinds} for view, data in views.items()}
    report: dict[str, Any] = {"summary": _summary(comparison, min_score)}
    for view, by_kind in matches.items():
        report[view] = {}
        for kind, found in by_kind.items():
            report[view][kind] = _figures(found, min_score)
            if resamples:
                report[view][kind]["interval95"] = _intervals(found, min_score, resamples, seed)
    if len(comparison.classes) > 1:
        for kind in comparison.kinds:
            report["counted"][kind]["per_class"] = {
                class_name(class_id): _figures(match(comparison.of_class(class_id), kind), min_score)
                for class_id in comparison.classes
            }
    report["images"] = _rows(comparison, matches["counted"], min_score)
    cleaned: dict[str, Any] = without_nan(report)
    return cleaned


def _summary(comparison: Comparison, min_score: float) -> dict[str, Any]:
    return {
        "images": len(comparison.images),
        "images_without_results": sum(not items for items in comparison.results),
        "chromosomes": sum(not item.get("iscrowd") for items in comparison.truth for item in items),
        "results": sum(map(len, comparison.results)),
        "results_for_other_images": comparison.elsewhere,
        "min_score": min_score,
    }


def _figures(matches: Sequence[ImageMatches], min_score: float) -> dict[str, Any]:
    found, there = np.sum([image.overlapped for image in matches], axis=0)
    overlapped = {"recall_overlapped": float(found / there)} if there else {}
    return {**detection(matches), **enumeration(matches, min_score), **overlapped}


def _intervals(matches: Sequence[ImageMatches], min_score: float, resamples: int, seed: int) -> dict[str, list[float]]:
    def headline(sample: Sequence[ImageMatches]) -> Figures:
        figures = {**detection(sample), **enumeration(sample, min_score)}
        return {name: figures[name] for name in HEADLINE}

    return bootstrap(matches, headline, resamples=resamples, seed=seed)


def _rows(comparison: Comparison, matches: dict[Any, list[ImageMatches]], min_score: float) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, image in enumerate(comparison.images):
        row: dict[str, Any] = {"file_name": image["file_name"], "truth": matches["bbox"][number].truth}
        for kind, found in matches.items():
            true, false, missed, right = outcomes(found[number], min_score)
            row |= {f"{kind}_TP": true, f"{kind}_FP": false, f"{kind}_FN": missed, f"{kind}_right_class": right}
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["bbox_FP"] - row["bbox_FN"], row["file_name"]))
