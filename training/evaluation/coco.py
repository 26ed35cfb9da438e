"""Instances found in metaphases against their truth: every figure that the paper and COCO report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from karyotyping.cell import class_name
from training.evaluation.edits import Corrections, corrections
from training.evaluation.figures import Figures, bootstrap, without_nan
from training.evaluation.matching import Comparison, ImageMatches, Kind, load, match
from training.evaluation.metrics import detection, enumeration, handwork, outcomes
from training.evaluation.outlines import outlines, overlaps

HEADLINE = (
    *("AP50", "mAP", "mAR", "WCR", "AER", "Acc", "count_exact", "count_error", "class_accuracy"),
    *("clinical_precision", "clinical_recall", "edits", "splits", "joins", "deletions", "additions"),
)
"""Figures that get a confidence interval."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One image, matched."""

    by_kind: dict[Kind, ImageMatches]
    corrections: Corrections | None
    """None without masks."""


def evaluate(
    ground_truth: Path, results: Path, *, min_score: float = 0.0, resamples: int = 500, seed: int = 0, by: str = ""
) -> dict[str, Any]:
    """Compare a COCO results list with a COCO ground truth.

    Args:
        ground_truth: COCO instances; an image may name ``unlabelled`` boxes [x, y, w, h] of objects without a label.
        results: list of ``file_name`` (or ``image_id``), ``bbox``, ``score``, ``category_id``, ``segmentation``.
        min_score: results below it do not count for enumeration and classes; average precision ranks them all.
        resamples: bootstrap resamples of the images; 0 for no confidence intervals.
        seed: of the bootstrap.
        by: a field of the truth's images that tells domains apart, such as ``slide``.

    Raises:
        ValueError: one of the files is not in its format, or no image has the field.
    """
    return report(load(ground_truth, results), min_score=min_score, resamples=resamples, seed=seed, by=by)


def report(
    comparison: Comparison, *, min_score: float = 0.0, resamples: int = 500, seed: int = 0, by: str = ""
) -> dict[str, Any]:
    """Every figure of a comparison.

    Returns:
        ``summary``; ``counted``, with ``bbox`` and, if both sides have masks, ``segm``: the figures of ``detection``
        and ``enumeration`` whatever the classes, for masks also those of ``handwork``, their ``interval95``, and
        ``per_class`` if the truth has classes; ``excused``, if the truth has unlabelled boxes: the same with results
        there left out; ``by``: ``images``, ``chromosomes`` and both views of each domain; ``images``: a row per
        image, worst first. Shares are 0..1; a figure without a denominator is None.

    Raises:
        ValueError: no image has the field ``by``.
    """
    domains = _domains(comparison, by) if by else {}
    views = {"counted": comparison} | ({"excused": comparison.excusing()} if comparison.has_unlabelled else {})
    judged = {view: _judge(data, min_score) for view, data in views.items()}

    def part(chosen: Sequence[int]) -> dict[str, Any]:
        return {
            view: _figures_of([images[i] for i in chosen], min_score, resamples, seed)
            for view, images in judged.items()
        }

    everything: dict[str, Any] = {"summary": _summary(comparison, min_score)} | part(range(len(comparison.images)))
    if len(comparison.classes) > 1:
        for kind in comparison.kinds:
            everything["counted"][kind]["per_class"] = {
                class_name(class_id): _of_matches(match(comparison.of_class(class_id), kind), min_score)
                for class_id in comparison.classes
            }
    if by:
        everything["by"] = {
            name: {
                "images": len(chosen),
                "chromosomes": sum(judged["counted"][i].by_kind["bbox"].truth for i in chosen),
                **part(chosen),
            }
            for name, chosen in domains.items()
        }
    everything["images"] = _rows(comparison, judged["counted"], min_score)
    cleaned: dict[str, Any] = without_nan(everything)
    return cleaned


def _domains(comparison: Comparison, field: str) -> dict[str, list[int]]:
    """Places of the images by their value of ``field``."""
    if not any(field in image for image in comparison.images):
        names = sorted({name for image in comparison.images for name, value in image.items() if isinstance(value, str)})
        raise ValueError(f"no image of the truth has the field {field!r}; fields with text are {', '.join(names)}")
    found: dict[str, list[int]] = {}
    for place, image in enumerate(comparison.images):
        found.setdefault(str(image.get(field, "-")), []).append(place)
    return dict(sorted(found.items()))


def _judge(comparison: Comparison, min_score: float) -> list[_Judged]:
    by_kind = {kind: match(comparison, kind) for kind in comparison.kinds}
    by_hand: list[Corrections | None] = [None] * len(comparison.images)
    if "segm" in by_kind:
        by_hand = [corrections(overlaps(image)) for image in outlines(comparison, min_score)]
    return [_Judged({kind: found[i] for kind, found in by_kind.items()}, by_hand[i]) for i in range(len(by_hand))]


def _summary(comparison: Comparison, min_score: float) -> dict[str, Any]:
    return {
        "images": len(comparison.images),
        "images_without_results": sum(not items for items in comparison.results),
        "chromosomes": sum(not item.get("iscrowd") for items in comparison.truth for item in items),
        "results": sum(map(len, comparison.results)),
        "results_for_other_images": comparison.elsewhere,
        "min_score": min_score,
    }


def _figures_of(images: Sequence[_Judged], min_score: float, resamples: int, seed: int) -> dict[Kind, Any]:
    def of_kind(kind: Kind) -> Callable[[Sequence[_Judged]], Figures]:
        def figures(sample: Sequence[_Judged]) -> Figures:
            by_hand = [image.corrections for image in sample if image.corrections] if kind == "segm" else []
            found = _of_matches([image.by_kind[kind] for image in sample], min_score)
            return {**found, **(handwork(by_hand) if by_hand else {})}

        return figures

    def headline(figures: Callable[[Sequence[_Judged]], Figures]) -> Callable[[Sequence[_Judged]], Figures]:
        return lambda sample: {name: value for name, value in figures(sample).items() if name in HEADLINE}

    found: dict[Kind, Any] = {}
    for kind in images[0].by_kind:
        figures = of_kind(kind)
        found[kind] = dict(figures(images))
        if resamples:
            found[kind]["interval95"] = bootstrap(images, headline(figures), resamples=resamples, seed=seed)
    return found


def _of_matches(matches: Sequence[ImageMatches], min_score: float) -> Figures:
    found, there = np.sum([image.overlapped for image in matches], axis=0)
    overlapped = {"recall_overlapped": float(found / there)} if there else {}
    return {**detection(matches), **enumeration(matches, min_score), **overlapped}


def _rows(comparison: Comparison, judged: Sequence[_Judged], min_score: float) -> list[dict[str, Any]]:
    """A row per image, worst first: most edits, or without masks most that is missed or false."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for image, one in zip(comparison.images, judged, strict=True):
        row: dict[str, Any] = {"file_name": image["file_name"], "truth": one.by_kind["bbox"].truth}
        trouble = 0
        for kind, found in one.by_kind.items():
            true, false, missed, right = outcomes(found, min_score)
            row |= {f"{kind}_TP": true, f"{kind}_FP": false, f"{kind}_FN": missed, f"{kind}_right_class": right}
            trouble = false + missed
        if one.corrections:
            row |= asdict(one.corrections)
            trouble = one.corrections.edits
        rows.append((trouble, row))
    return [row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1]["file_name"]))]
