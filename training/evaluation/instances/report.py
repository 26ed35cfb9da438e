"""Instances found in metaphases against their truth: every figure that the paper and COCO report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from karyotyping.nomenclature.classes import class_name
from training.evaluation.instances.edit_count import Corrections, corrections
from training.evaluation.instances.mask_overlap import outlines, overlaps
from training.evaluation.instances.matching import Comparison, ImageMatches, Kind, load, match
from training.evaluation.instances.metrics import Outcome, detection, enumeration, handwork, outcome
from training.evaluation.statistics import Figures, bootstrap, without_nan

HEADLINE = (
    *("AP50", "mAP", "mAR", "WCR", "AER", "Acc", "count_exact", "count_error", "class_accuracy"),
    *("clinical_precision", "clinical_recall", "edits", "splits", "joins", "deletions", "additions"),
)
"""Figures that get a confidence interval."""


@dataclass(frozen=True, slots=True)
class _Judged:
    """One image, its boxes or its masks matched."""

    matches: ImageMatches
    outcome: Outcome
    corrections: Corrections | None
    """None of boxes."""


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
    judged = {view: {kind: _judge(data, kind, min_score) for kind in data.kinds} for view, data in views.items()}

    def part(chosen: Sequence[int]) -> dict[str, Any]:
        return {
            view: {
                kind: _with_intervals([images[i] for i in chosen], resamples, seed) for kind, images in by_kind.items()
            }
            for view, by_kind in judged.items()
        }

    everything: dict[str, Any] = {"summary": _summary(comparison, min_score)} | part(range(len(comparison.images)))
    if len(comparison.classes) > 1:
        for kind in comparison.kinds:
            everything["counted"][kind]["per_class"] = {
                class_name(class_id): _figures(_judge(comparison.of_class(class_id), kind, min_score, by_hand=False))
                for class_id in comparison.classes
            }
    if by:
        everything["by"] = {
            name: {
                "images": len(chosen),
                "chromosomes": sum(judged["counted"]["bbox"][i].matches.truth for i in chosen),
                **part(chosen),
            }
            for name, chosen in domains.items()
        }
    everything["images"] = _rows(comparison, judged["counted"])
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


def _judge(comparison: Comparison, kind: Kind, min_score: float, *, by_hand: bool = True) -> list[_Judged]:
    todo: list[Corrections | None] = [None] * len(comparison.images)
    if by_hand and kind == "segm":
        todo = [corrections(overlaps(image)) for image in outlines(comparison, min_score)]
    matches = match(comparison, kind)
    return [_Judged(found, outcome(found, min_score), work) for found, work in zip(matches, todo, strict=True)]


def _summary(comparison: Comparison, min_score: float) -> dict[str, Any]:
    return {
        "images": len(comparison.images),
        "images_without_results": sum(not items for items in comparison.results),
        "chromosomes": sum(not item.get("iscrowd") for items in comparison.truth for item in items),
        "results": sum(map(len, comparison.results)),
        "results_for_other_images": comparison.elsewhere,
        "min_score": min_score,
    }


def _with_intervals(images: Sequence[_Judged], resamples: int, seed: int) -> dict[str, Any]:
    def headline(sample: Sequence[_Judged]) -> Figures:
        return {name: value for name, value in _figures(sample).items() if name in HEADLINE}

    intervals = {"interval95": bootstrap(images, headline, resamples=resamples, seed=seed)} if resamples else {}
    return {**_figures(images), **intervals}


def _figures(images: Sequence[_Judged]) -> Figures:
    matches, by_hand = [image.matches for image in images], [image.corrections for image in images if image.corrections]
    found, there = (sum(image.overlapped[k] for image in matches) for k in (0, 1))
    return {
        **detection(matches),
        **enumeration([image.outcome for image in images]),
        **(handwork(by_hand) if by_hand else {}),
        **({"recall_overlapped": found / there} if there else {}),
    }


def _rows(comparison: Comparison, judged: dict[Kind, list[_Judged]]) -> list[dict[str, Any]]:
    """A row per image, worst first: most edits, or without masks most that is missed or false."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for place, image in enumerate(comparison.images):
        row: dict[str, Any] = {"file_name": image["file_name"], "truth": judged["bbox"][place].matches.truth}
        trouble = 0
        for kind, images in judged.items():
            (true, false, missed, right), todo = images[place].outcome, images[place].corrections
            row |= {f"{kind}_TP": true, f"{kind}_FP": false, f"{kind}_FN": missed, f"{kind}_right_class": right}
            row |= asdict(todo) if todo else {}
            trouble = todo.edits if todo else false + missed
        rows.append((trouble, row))
    return [row for _, row in sorted(rows, key=lambda pair: (-pair[0], pair[1]["file_name"]))]
