"""Figures of classes: confusion matrix, reliability diagram, risk-coverage curve, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from karyotyping.arrays import Ints
from training.evaluation.charts import (
    CORRECT,
    INK,
    MUTED,
    SERIES,
    WRONG,
    add_legend,
    new_chart,
    new_figure,
    save,
    set_title,
)
from training.evaluation.classification.calibration import ERROR_TARGETS, RiskCoverage, reliability
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, ClassComparison
from training.evaluation.classification.gallery import gallery
from training.evaluation.classification.schema import ReliabilityBin
from training.evaluation.classification.scoring import ScoredPredictions

_MIN_ERROR = 1e-4  # lower end of the axis of errors
_MIN_LABELLED = 0.05  # share of chromosomes; operating points below it get no label
_CELL_SIDE = 38  # px, of the confusion matrix
_EMPTY = "#f6f7f9"
_CORRECT_SHARES, _WRONG_SHARES = (
    LinearSegmentedColormap.from_list(color, [_EMPTY, color]) for color in (CORRECT, WRONG)
)


def confusion(true: Ints, predicted: Ints) -> Figure:
    """Draw the confusion matrix of (N,) indices into ``LABELS``; rows are true classes."""
    with_no_class = bool((true == NO_CLASS).any() or (predicted == NO_CLASS).any())
    classes = len(LABELS) if with_no_class else NO_CLASS
    counts = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(counts, (true[predicted != MISSING], predicted[predicted != MISSING]), 1)
    counts, totals = counts[:classes, :classes], np.bincount(true, minlength=len(LABELS))[:classes, None]
    shares = counts / np.maximum(totals, 1)
    wrong_depth = np.minimum(1.0, 2.5 * np.sqrt(shares))  # full red at a sixth of the row
    on_diagonal = np.eye(classes, dtype=bool)
    depth = np.where(on_diagonal, shares, wrong_depth)
    figure = new_figure(_CELL_SIDE * classes + 210, _CELL_SIDE * classes + 170)
    axes = figure.add_subplot()
    set_title(
        axes, "Confusion", "rows: true class, columns: predicted class; counts, and recall at the right", above=18
    )
    colors = np.where(on_diagonal[..., None], _CORRECT_SHARES(depth), _WRONG_SHARES(depth))
    axes.imshow(colors, interpolation="nearest")
    for row, column in np.argwhere(counts).tolist():
        ink = "white" if depth[row, column] > 0.5 else INK
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, fontsize=8)
    for row in np.flatnonzero(totals).tolist():
        recall = counts[row, row] / totals[row, 0]
        axes.text(classes - 0.2, row, f"{recall:.2%}", va="center", color=INK, fontsize=9)
    axes.set_xticks(np.arange(classes), LABELS[:classes])
    axes.set_yticks(np.arange(classes), LABELS[:classes])
    axes.set_xticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="both", length=0, top=False, labeltop=True, labelbottom=False, labelcolor=INK, labelsize=9)
    axes.spines[:].set_visible(False)
    return figure


def reliability_diagram(bins: Mapping[str, Sequence[ReliabilityBin]]) -> Figure:
    """Draw accuracy against score, from the rows of ``calibration.reliability`` by series.

    The radius of a dot grows with the logarithm of its number of predictions.
    """
    figure, axes = new_chart("Reliability", "score", "share of right predictions")
    axes.plot((0, 1), (0, 1), color=MUTED, linewidth=1)
    for color, (name, rows) in zip(SERIES, bins.items(), strict=False):
        score, accuracy = [row["score"] for row in rows], [row["accuracy"] for row in rows]
        total = sum(row["count"] for row in rows)
        gap = sum(row["count"] * abs(row["score"] - row["accuracy"]) for row in rows) / total
        label = f"{name}: calibration error {gap:.2%} of {total} predictions"
        axes.plot(score, accuracy, color=color, linewidth=1.5, label=label)
        area = [(4 + 3 * np.sqrt(np.log10(row["count"]))) ** 2 for row in rows]
        axes.scatter(score, accuracy, s=area, color=color, edgecolor="white", linewidth=0.8, clip_on=False, zorder=3)
    ticks = np.linspace(0, 1, 11)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=ticks, yticks=ticks, aspect="equal")
    add_legend(axes, "lower right")
    return figure


def risk_coverage(
    curves: Mapping[str, RiskCoverage], *, units: str = "chromosomes", score: str = "score", to_end: bool = True
) -> Figure:
    """Draw the share of errors against the share accepted by score.

    Args:
        curves: by the name of the series.
        units: what is accepted, in the plural.
        score: name of the score.
        to_end: whether the curve goes on to those without a score.
    """
    figure, axes = new_chart(
        "Risk and coverage", f"share of {units} accepted, by decreasing {score}", "share of errors among them"
    )
    axes.set_yscale("log")
    for target in ERROR_TARGETS:
        axes.axhline(target, color=MUTED, linewidth=1)
        axes.annotate(f"{target:.1%}", (0, target), (6, 4), textcoords="offset points", color=MUTED, fontsize=10)
    for number, (color, (name, curve)) in enumerate(zip(SERIES, curves.items(), strict=False)):
        coverage, error = curve.coverage, curve.error
        if to_end:
            coverage, error = np.append(coverage, 1), np.append(error, curve.errors_total / curve.total)
        axes.plot(coverage, np.maximum(error, _MIN_ERROR), color=color, linewidth=1.5, label=name)
        for target in ERROR_TARGETS:
            point = curve.operating_point(target)
            if point["coverage"] < _MIN_LABELLED:
                continue
            if point["accepted"] < curve.accepted[-1]:  # the curve crosses the target here
                axes.plot(point["coverage"], target, "o", color=color, markersize=6)
            right = number > 0 and point["coverage"] < 0.9
            axes.annotate(
                f"{point['coverage']:.1%}",
                (point["coverage"], target),
                (8 if right else -8, -8 if number else 8),
                textcoords="offset points",
                ha="left" if right else "right",
                va="center",
                color=color,
                fontsize=10,
            )
    decades = 10.0 ** np.arange(-4, 1)
    axes.set(xlim=(0, 1), ylim=(_MIN_ERROR, 1), xticks=np.linspace(0, 1, 11))
    axes.set_yticks(decades, [f"{decade:g}" if decade > _MIN_ERROR else "0.0001" for decade in decades])
    axes.yaxis.set_minor_locator(NullLocator())
    add_legend(axes, "upper left")
    return figure


def draw(comparison: ClassComparison, folder: Path, crops: Path | None = None) -> list[Path]:
    """Write ``confusion.png``; with scores ``reliability.png`` and ``risk_coverage*.png``.

    Args:
        comparison: true and predicted classes.
        folder: destination, made if it does not exist.
        crops: zip or folder of the images under the names in the truth; with it ``errors.png`` is written too.

    Returns:
        The files written.

    Raises:
        ValueError: an image is not in ``crops``.
    """
    figures = {"confusion": confusion(comparison.true, comparison.isolated.label)}
    scored = {
        name: ScoredPredictions.of(comparison, one)
        for name, one in comparison.predictions.items()
        if not np.isnan(one.score).all()
    }
    if scored:
        given = {name: ~np.isnan(one.score) for name, one in scored.items()}
        bins = {name: reliability(one.score[given[name]], one.right[given[name]]) for name, one in scored.items()}
        figures["reliability"] = reliability_diagram(bins)
        rows = np.arange(len(comparison))
        figures["risk_coverage"] = risk_coverage({name: one.curve(rows) for name, one in scored.items()})
        cells = {name: one.cells(rows) for name, one in scored.items()}
        if curves := {name: RiskCoverage.of(*one) for name, one in cells.items() if not np.isnan(one[0]).all()}:
            figures["risk_coverage_cells"] = risk_coverage(curves, units="cells", score="product of the scores")
    if crops:
        figures["errors"] = gallery(comparison, crops)
    return save(figures, folder)
