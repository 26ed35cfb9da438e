"""Figures of detection: precision and recall, counts, and the images that need most edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from training.evaluation.charts import MUTED, SERIES, add_legend, new_chart, save
from training.evaluation.instances.gallery import worst_images
from training.evaluation.instances.matching import IOU_THRESHOLDS, Comparison, ImageMatches, Kind, match
from training.evaluation.instances.metrics import detection, outcome, precision_recall

_CURVES = {0.5: ("AP50", 2.5), 0.75: ("AP75", 1.2)}
"""IoU threshold of each curve: its average precision's name, and its line width in points."""
_KIND_NAMES: dict[Kind, str] = {"bbox": "boxes", "segm": "masks"}
_DOT_AREA = 40  # points squared, for one image


def precision_recall_curves(matches: Mapping[Kind, Sequence[ImageMatches]]) -> Figure:
    """Draw precision against recall; a dot marks the point where every result counts."""
    figure, axes = new_chart(
        "Precision and recall", "recall: share of chromosomes found", "precision: share of results right"
    )
    for color, (kind, images) in zip(SERIES, matches.items(), strict=False):
        if not sum(image.truth for image in images):
            continue
        recall, precision = precision_recall(images)
        for threshold, (figure_name, width) in _CURVES.items():
            row = int(np.argmin(np.abs(IOU_THRESHOLDS - threshold)))
            label = f"{_KIND_NAMES[kind]} at IoU {threshold:g}: AP {detection(images)[figure_name]:.3f}"
            axes.plot(recall[row], precision[row], color=color, linewidth=width, label=label)
            axes.plot(recall[row, -1:], precision[row, -1:], "o", color=color, markersize=7, clip_on=False)
    ticks = np.linspace(0, 1, 11)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xticks=ticks, yticks=ticks)
    add_legend(axes, "lower left")
    return figure


def counts(matches: Sequence[ImageMatches], min_score: float) -> Figure:
    """Draw the number of results against that of chromosomes, per image.

    The area of a dot is proportional to its number of images.
    """
    truth = [image.truth for image in matches]
    results = [sum(outcome(image, min_score)[:2]) for image in matches]
    exact = sum(x == y for x, y in zip(truth, results, strict=True))
    figure, axes = new_chart(
        "Counts",
        "chromosomes in the image",
        "results",
        subtitle=f"{exact} of {len(truth)} images exact, {sum(results)} results for {sum(truth)} chromosomes",
    )
    limits = min(truth + results, default=0) - 1, max(truth + results, default=0) + 1
    axes.plot(limits, limits, color=MUTED, linewidth=1)
    images_at = Counter(zip(truth, results, strict=True))
    if images_at:
        x, y = zip(*images_at, strict=True)
        area = [_DOT_AREA * images for images in images_at.values()]
        axes.scatter(x, y, s=area, color=SERIES[0], edgecolor="white", linewidth=1, zorder=3)
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    return figure


def draw(
    comparison: Comparison, folder: Path, *, min_score: float = 0.0, images: Path | None = None, worst: int = 20
) -> list[Path]:
    """Write ``precision_recall.png``, ``counts.png``, and with ``images`` the worst ones.

    Args:
        comparison: a truth and its results.
        folder: destination, made if it does not exist.
        min_score: least score, 0..1, of the results in all but the curves.
        images: folder with the images under the names in the truth.
        worst: number of images drawn, those that need most edits first.

    Returns:
        The files written; the worst images are ``worst_01_NAME.png`` and so on.

    Raises:
        ValueError: an image is absent, or its size differs from the truth's.
    """
    matches = {kind: match(comparison, kind) for kind in comparison.kinds}
    figures = {"precision_recall": precision_recall_curves(matches), "counts": counts(matches["bbox"], min_score)}
    if images:
        ranked = worst_images(comparison.with_excused_regions(), images, min_score=min_score, count=worst)
        figures |= {f"worst_{rank:02d}_{PurePath(name).stem}": figure for rank, (name, figure) in enumerate(ranked, 1)}
    return save(figures, folder)
