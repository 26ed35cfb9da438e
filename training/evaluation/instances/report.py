"""Every figure of instances compared with their truth, as in the paper and COCO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from karyotyping.nomenclature.classes import class_name
from training.evaluation.instances.edit_count import Corrections, count_corrections
from training.evaluation.instances.mask_overlap import measure_overlaps, outlines
from training.evaluation.instances.matching import Comparison, ImageMatches, Kind, load, match
from training.evaluation.instances.metrics import Outcome, correction_figures, detection, enumeration, outcome
from training.evaluation.instances.schema import ImageRow, InstanceReport, Summary
from training.evaluation.statistics import Figures, bootstrap, nan_to_none

INTERVAL_FIGURES = (
    *("AP50", "mAP", "mAR", "WCR", "AER", "Acc", "count_exact", "count_error", "class_accuracy"),
    *("clinical_precision", "clinical_recall", "edits", "splits", "joins", "deletions", "additions"),
)
"""Figures that get a confidence interval."""


@dataclass(frozen=True, slots=True)
class _ImageScores:
    """One image, its boxes or its masks matched."""

    matches: ImageMatches
    outcome: Outcome
    corrections: Corrections | None
    """None for boxes."""


def evaluate(
    ground_truth: Path, results: Path, *, min_score: float = 0.0, resamples: int = 500, seed: int = 0, by: str = ""
) -> InstanceReport:
    """Compare a COCO results list with a COCO ground truth.

    Args:
        ground_truth: COCO instances; an image may name ``unlabelled`` boxes [x, y, w, h] of objects without a label.
        results: list of ``file_name`` (or ``image_id``), ``bbox``, ``score``, ``category_id``, ``segmentation``.
        min_score: least score, 0..1, of the results in enumeration and classes; average precision ranks them all.
        resamples: number of bootstrap samples of the images; 0 for no confidence intervals.
        seed: of the bootstrap.
        by: a field of the truth's images whose values are the domains, such as ``slide``.

    Returns:
        What ``report`` returns.

    Raises:
        ValueError: one of the files is not in its format, or no image has the field.
    """
    return report(load(ground_truth, results), min_score=min_score, resamples=resamples, seed=seed, by=by)


def report(
    comparison: Comparison, *, min_score: float = 0.0, resamples: int = 500, seed: int = 0, by: str = ""
) -> InstanceReport:
    """Compute every figure of a comparison.

    Args:
        comparison: a truth and its results.
        min_score: least score, 0..1, of the results in enumeration and classes.
        resamples: number of bootstrap samples of the images; 0 for no confidence intervals.
        seed: of the bootstrap.
        by: a field of the truth's images whose values are the domains.

    Returns:
        ``summary``; ``counted``, with ``bbox`` and, if both sides have masks, ``segm``; ``excused``, if the truth has
        unlabelled boxes: the same without the results there; ``by``: ``images``, ``chromosomes`` and both views of each
        domain; ``images``: a row per image, worst first. Each kind has the figures of ``detection`` and
        ``enumeration`` whatever the classes, masks also those of ``correction_figures``; with ``interval95``, and
        ``per_class`` if the truth has classes. Shares are 0..1; a figure without a denominator is None.

    Raises:
        ValueError: no image has the field ``by``.
    """
    domains = _domains(comparison, by) if by else {}
    views = {"counted": comparison}
    if comparison.has_unlabelled:
        views["excused"] = comparison.with_excused_regions()
    scores = {view: {kind: _score(data, kind, min_score) for kind in data.kinds} for view, data in views.items()}

    def part(chosen: Sequence[int]) -> dict[str, Any]:
        return {
            view: {
                kind: _with_intervals([images[i] for i in chosen], resamples, seed) for kind, images in by_kind.items()
            }
            for view, by_kind in scores.items()
        }

    everything: dict[str, Any] = {"summary": _summary(comparison, min_score)} | part(range(len(comparison.images)))
    if len(comparison.classes) > 1:
        for kind in comparison.kinds:
            everything["counted"][kind]["per_class"] = {
                class_name(class_id): _figures(_score(comparison.of_class(class_id), kind, min_score, edits=False))
                for class_id in comparison.classes
            }
    if by:
        everything["by"] = {
            name: {
                "images": len(chosen),
                "chromosomes": sum(scores["counted"]["bbox"][i].matches.truth for i in chosen),
                **part(chosen),
            }
            for name, chosen in domains.items()
        }
    everything["images"] = _rows(comparison, scores["counted"])
    return cast("InstanceReport", nan_to_none(everything))


def _domains(comparison: Comparison, field: str) -> dict[str, list[int]]:
    """Return the indices of the images by their value of ``field``."""
    if not any(field in image for image in comparison.images):
        names = sorted({name for image in comparison.images for name, value in image.items() if isinstance(value, str)})
        raise ValueError(f"no image of the truth has the field {field!r}; fields with text are {', '.join(names)}")
    domains: dict[str, list[int]] = {}
    for index, image in enumerate(comparison.images):
        domains.setdefault(str(image.get(field, "-")), []).append(index)
    return dict(sorted(domains.items()))


def _score(comparison: Comparison, kind: Kind, min_score: float, *, edits: bool = True) -> list[_ImageScores]:
    corrections: list[Corrections | None] = [None] * len(comparison.images)
    if edits and kind == "segm":
        corrections = [count_corrections(measure_overlaps(image)) for image in outlines(comparison, min_score)]
    return [
        _ImageScores(matches, outcome(matches, min_score), work)
        for matches, work in zip(match(comparison, kind), corrections, strict=True)
    ]


def _summary(comparison: Comparison, min_score: float) -> Summary:
    return {
        "images": len(comparison.images),
        "images_without_results": sum(not items for items in comparison.results),
        "chromosomes": sum(not item.get("iscrowd") for items in comparison.truth for item in items),
        "results": sum(map(len, comparison.results)),
        "results_for_other_images": comparison.other_results,
        "min_score": min_score,
    }


def _with_intervals(images: Sequence[_ImageScores], resamples: int, seed: int) -> dict[str, Any]:
    def chosen_figures(sample: Sequence[_ImageScores]) -> Figures:
        return {name: value for name, value in _figures(sample).items() if name in INTERVAL_FIGURES}

    intervals = {"interval95": bootstrap(images, chosen_figures, resamples=resamples, seed=seed)} if resamples else {}
    return {**_figures(images), **intervals}


def _figures(images: Sequence[_ImageScores]) -> Figures:
    matches, corrections = (
        [image.matches for image in images],
        [image.corrections for image in images if image.corrections],
    )
    found, overlapped = (sum(image.overlapped[k] for image in matches) for k in (0, 1))
    return {
        **detection(matches),
        **enumeration([image.outcome for image in images]),
        **(correction_figures(corrections) if corrections else {}),
        **({"recall_overlapped": found / overlapped} if overlapped else {}),
    }


def _rows(comparison: Comparison, scores: dict[Kind, list[_ImageScores]]) -> list[ImageRow]:
    """Return a row per image, worst first: by edits, or without masks by missed and false boxes."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for index, image in enumerate(comparison.images):
        row: dict[str, Any] = {"file_name": image["file_name"], "truth": scores["bbox"][index].matches.truth}
        errors = 0
        for kind, images in scores.items():
            counts, work = images[index].outcome, images[index].corrections
            row |= {
                f"{kind}_TP": counts.true,
                f"{kind}_FP": counts.false,
                f"{kind}_FN": counts.missed,
                f"{kind}_right_class": counts.right_class,
            }
            row |= asdict(work) if work else {}
            errors = work.edits if work else counts.false + counts.missed
        rows.append((errors, row))
    ordered = sorted(rows, key=lambda pair: (-pair[0], pair[1]["file_name"]))
    return cast("list[ImageRow]", [row for _, row in ordered])
