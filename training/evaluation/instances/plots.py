"""Pictures of how well chromosomes are found: precision and recall, counts, and the cells with most left to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.evaluation.instances.gallery import worst_cases
from training.evaluation.instances.matching import IOU_THRESHOLDS, Comparison, ImageMatches, Kind, match
from training.evaluation.instances.metrics import detection, outcome, precision_recall
from training.evaluation.page import PALE, SERIES, Axes

_LEVELS = {0.5: ("AP50", 2.5), 0.75: ("AP75", 1.0)}
"""IoU thresholds whose curves are drawn: the figure that each stands for, and how thick it is."""
_NAMES: dict[Kind, str] = {"bbox": "boxes", "segm": "masks"}


def precision_recall_curves(matches: Mapping[Kind, Sequence[ImageMatches]]) -> NDArray[np.uint8]:
    """Precision at every recall that the results reach, boxes and masks, (H, W, 3) RGB; a dot where all count."""
    axes = Axes("Precision and recall", "recall: share of chromosomes found", "precision: share of results right")
    row = 0
    for ink, (kind, found) in zip(SERIES, matches.items(), strict=False):
        if not sum(image.truth for image in found):
            continue
        recall, precision = precision_recall(found)
        for level, (figure, width) in _LEVELS.items():
            place = int(np.argmin(np.abs(IOU_THRESHOLDS - level)))
            points = [axes.at(x, y) for x, y in zip(recall[place].tolist(), precision[place].tolist(), strict=True)]
            axes.page.line(points, ink, width)
            if points:
                axes.page.dot(points[-1], 5, ink)
            words = f"{_NAMES[kind]} at IoU {level:g}: AP {detection(found)[figure]:.3f}"
            axes.page.text(axes.beside(0.03, 0.20 - 0.04 * row), words, size=16, ink=ink, anchor="lm")
            row += 1
    return axes.page.pixels()


def counts(matches: Sequence[ImageMatches], min_score: float) -> NDArray[np.uint8]:
    """How many chromosomes each image has and how many were found in it, (H, W, 3) RGB; a dot's area is the number of
    images."""
    there = [image.truth for image in matches]
    said = [sum(outcome(image, min_score)[:2]) for image in matches]
    low, high = min(there + said, default=0), max(there + said, default=0)
    step = max(1, round((high - low) / 10))
    first = low // step * step
    ticks = {float(n): str(n) for n in range(first, max(high + step, first + 2 * step), step)}
    axes = Axes("Counts", "chromosomes in the image", "results", x_ticks=ticks, y_ticks=ticks)
    axes.page.line([axes.at(min(ticks), min(ticks)), axes.at(max(ticks), max(ticks))], PALE)
    for (x, y), images in Counter(zip(there, said, strict=True)).items():
        axes.page.dot(axes.at(x, y), 6 * np.sqrt(images), SERIES[0])
    exact = sum(x == y for x, y in zip(there, said, strict=True))
    words = f"{exact} of {len(there)} images exact, {sum(said)} results for {sum(there)} chromosomes"
    axes.page.text(axes.beside(0, 1.02), words, ink=PALE, anchor="lm")
    return axes.page.pixels()


def draw(
    comparison: Comparison, folder: Path, *, min_score: float = 0.0, images: Path | None = None, worst: int = 20
) -> list[Path]:
    """Write ``precision_recall.png``, ``counts.png``, and with ``images`` ``worst_01_NAME.png`` and so on.

    Args:
        comparison: what to draw.
        folder: where to; it is made if need be.
        min_score: results below it are left out of all but the curves.
        images: folder with the images under the names in the truth.
        worst: how many of them, those that leave most to an operator.

    Raises:
        ValueError: an image is not there, or has not the size that the truth says.
    """
    by_kind = {kind: match(comparison, kind) for kind in comparison.kinds}
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"precision_recall": precision_recall_curves(by_kind), "counts": counts(by_kind["bbox"], min_score)}
    if images:
        found = worst_cases(comparison.excusing(), images, min_score=min_score, count=worst)
        drawn |= {
            f"worst_{rank:02d}_{PurePath(name).stem}": pixels for rank, (name, pixels) in enumerate(found, start=1)
        }
    for name, pixels in drawn.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
