"""Pictures of how good classes are: confusion matrix, reliability diagram, risk-coverage curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Ints
from training.evaluation.classification.calibration import ERROR_TARGETS, RiskCoverage
from training.evaluation.classification.data import LABELS, MISSING
from training.evaluation.page import INK, PALE, PAPER, RIGHT, SERIES, WRONG, Axes, Color, Page

_LEAST_ERROR = 1e-4
_LEAST_MARKED = 0.05


def confusion(true: Ints, said: Ints) -> NDArray[np.uint8]:
    """The confusion matrix of (N,) indices into ``LABELS``, (H, W, 3) RGB: rows are true classes, and a mistake is the
    redder the larger its share of the row."""
    shown = [k for k in range(len(LABELS)) if k < len(LABELS) - 1 or (true == k).any() or (said == k).any()]
    counts = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(counts, (true[said != MISSING], said[said != MISSING]), 1)
    wanted = np.bincount(true, minlength=len(LABELS))
    step, left, top = 38, 90, 120
    page = Page(left + step * len(shown) + 110, top + step * len(shown) + 40)
    page.text((left, 36), "Confusion", size=22, anchor="lm")
    page.text(
        (left, 66), "true class down, predicted class across; counts, and recall at the right", ink=PALE, anchor="lm"
    )
    for place, k in enumerate(shown):
        middle = (place + 0.5) * step
        page.text((left + middle, top - 16), LABELS[k])
        page.text((left - 14, top + middle), LABELS[k], anchor="rm")
        if wanted[k]:
            page.text((left + len(shown) * step + 12, top + middle), f"{counts[k, k] / wanted[k]:.2%}", anchor="lm")
    for row, k in enumerate(shown):
        for column, other in enumerate(shown):
            count, x, y = int(counts[k, other]), left + column * step, top + row * step
            share = count / wanted[k] if wanted[k] else 0.0
            depth = share if k == other else min(1.0, 2.5 * math.sqrt(share))  # one in six is as red as it gets
            page.box(x, y, x + step - 1, y + step - 1, _tint(RIGHT if k == other else WRONG, depth))
            if count:
                page.text((x + step / 2, y + step / 2), str(count), size=12, ink=PAPER if depth > 0.5 else INK)
    return page.pixels()


def _tint(color: Color, depth: float) -> Color:
    base = (246, 247, 249)
    red, green, blue = (round(b + (c - b) * depth) for b, c in zip(base, color, strict=True))
    return red, green, blue


def reliability_diagram(bins: Mapping[str, Sequence[Mapping[str, float]]]) -> NDArray[np.uint8]:
    """Accuracy by score, of the rows that ``confidence.reliability`` gives for each series, (H, W, 3) RGB. A dot's area
    grows with the logarithm of how many answers it stands for."""
    axes = Axes("Reliability", "score", "share that is right")
    axes.page.line([axes.at(0, 0), axes.at(1, 1)], PALE)
    for number, (ink, (name, rows)) in enumerate(zip(SERIES, bins.items(), strict=False)):
        places = [axes.at(row["score"], row["accuracy"]) for row in rows]
        axes.page.line(places, ink, 2)
        for place, row in zip(places, rows, strict=True):
            axes.page.dot(place, 3 + 2.2 * math.sqrt(math.log10(row["count"])), ink)
        total = int(sum(row["count"] for row in rows))
        gap = sum(row["count"] * abs(row["score"] - row["accuracy"]) for row in rows) / total
        words = f"{name}: calibration error {gap:.2%} of {total} answers"
        axes.page.text(axes.at(0.03, 0.96 - 0.04 * number), words, size=16, ink=ink, anchor="lm")
    return axes.page.pixels()


def risk_coverage(curves: Mapping[str, RiskCoverage]) -> NDArray[np.uint8]:
    """Share of errors among the surest answers, on a logarithmic scale, (H, W, 3) RGB; below 1 in 10,000 lies on the
    floor."""
    ticks = {10.0**k: f"{10.0**k:.4g}".rstrip("0") if k < 0 else "1" for k in range(-4, 1)}
    axes = Axes(
        "Risk and coverage",
        "share of chromosomes accepted, the surest first",
        "share of errors among them",
        y_ticks=ticks,
        rise=lambda error: 1 + math.log10(max(error, _LEAST_ERROR)) / 4,
    )
    for target in ERROR_TARGETS:
        axes.page.line([axes.at(0, target), axes.at(1, target)], PALE)
        axes.page.text((axes.at(0.01, target)[0], axes.at(0, target)[1] - 10), f"{target:.1%}", ink=PALE, anchor="lm")
    for number, (ink, (name, curve)) in enumerate(zip(SERIES, curves.items(), strict=False)):
        shares, errors = [*curve.coverage.tolist(), 1.0], [*curve.error.tolist(), curve.errors_total / curve.total]
        axes.page.line([axes.at(x, y) for x, y in zip(shares, errors, strict=True)], ink, 2)
        axes.page.text(axes.at(0.03, 10 ** (-0.16 - 0.16 * number)), name, size=16, ink=ink, anchor="lm")
        for target in ERROR_TARGETS:
            point = curve.within(target)
            if point["coverage"] > _LEAST_MARKED:
                place = axes.at(point["coverage"], target)
                if point["accepted"] < curve.accepted[-1]:  # the curve crosses here
                    axes.page.dot(place, 5, ink)
                right = number > 0 and point["coverage"] < 0.9  # below a curve that still rises slowly
                beside = (place[0] + (10 if right else -10), place[1] + (14 if number else -12))
                axes.page.text(beside, f"{point['coverage']:.1%}", ink=ink, anchor="lm" if right else "rm")
    return axes.page.pixels()
