"""Every figure of predicted classes of single chromosomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from karyotyping.arrays import Floats, Ints
from training.evaluation.classification.calibration import (
    CELL_ERROR_TARGETS,
    ERROR_TARGETS,
    RiskCoverage,
    auroc,
    calibration,
    reliability,
)
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, ClassComparison, Predictions, read
from training.evaluation.classification.schema import ClassReport
from training.evaluation.classification.scoring import ScoredPredictions
from training.evaluation.statistics import Figures, bootstrap, nan_to_none, ratio


def evaluate_classes(truth: Path, predictions: Path, *, resamples: int = 500, seed: int = 0) -> ClassReport:
    """Compare predicted classes with true ones; the files are those of ``data.read``.

    Args:
        truth: CSV, or a zip with an ``index.csv``.
        predictions: CSV.
        resamples: number of bootstrap samples of the cases; 0 for no confidence intervals.
        seed: of the bootstrap.

    Returns:
        What ``report`` returns.

    Raises:
        ValueError: one of the files is not in its format.
    """
    return report(read(truth, predictions), resamples=resamples, seed=seed)


def report(comparison: ClassComparison, *, resamples: int = 500, seed: int = 0) -> ClassReport:
    """Compute every figure, for all chromosomes and by domain.

    A chromosome without a prediction counts as wrong, and ``missing`` is their number. ``?`` counts as wrong unless it
    is true, and is never an accepted prediction.

    Args:
        comparison: true and predicted classes.
        resamples: number of bootstrap samples of the units; 0 for no confidence intervals.
        seed: of the bootstrap.

    Returns:
        ``accuracy_top1`` and ``accuracy_top5`` (the paper's Acc@1 and Acc@5), ``accuracy_balanced`` (mean recall of the
        classes), ``cells_right`` (share of cells with every chromosome right), the figures of ``calibration``,
        ``aurc``, and ``*_assigned`` if there are assigned classes. ``interval95`` is the bootstrap's over
        ``interval_unit``, without ECE, which resampling inflates. ``per_class`` has precision, recall and the most
        frequent mistakes; ``confusion`` counts by true class, then by predicted class. ``reliability``,
        ``operating_points`` and ``risk_coverage`` follow; ``by_cell`` has them of whole cells, each scored by the
        product of its chromosomes' scores. ``assigned`` has the same tables of the assigned classes.
        ``polarity`` and ``no_class`` are there if the files have them. ``by`` has all of this by domain column of the
        truth, then by its values. ``unknown`` is the number of predictions for other files. A figure without a
        denominator is None.
    """
    whole = _part(comparison, np.arange(len(comparison)), resamples, seed)
    whole["unknown"] = comparison.other_predictions
    whole["by"] = {
        column: {
            value: _part(comparison, np.flatnonzero(values == value), resamples, seed)
            for value in np.unique(values).tolist()
        }
        for column, values in comparison.domains.items()
        if len(np.unique(values)) > 1
    }
    return cast("ClassReport", nan_to_none(whole))


def _part(comparison: ClassComparison, rows: Ints, resamples: int, seed: int) -> dict[str, Any]:
    """Return the report on the chromosomes of ``rows`` (R,)."""
    isolated = ScoredPredictions.of(comparison, comparison.isolated)
    assigned = ScoredPredictions.of(comparison, comparison.assigned) if comparison.assigned else None
    has_polarity = (comparison.upright != 0) & ~np.isnan(comparison.p_up)
    p_of_truth = np.where(comparison.upright > 0, comparison.p_up, 1 - comparison.p_up)

    def headline(units: Sequence[Ints]) -> Figures:
        chosen = np.concatenate(units)
        figures = isolated.figures(comparison.true, chosen)
        figures["accuracy_top5"] = float(comparison.in_top5[chosen].mean())
        if assigned:
            of_assigned = assigned.figures(comparison.true, chosen)
            figures["accuracy_assigned"] = of_assigned.pop("accuracy_top1")
            figures |= {f"{name}_assigned": value for name, value in of_assigned.items()}
        if has_polarity.any():
            figures["accuracy_polarity"] = ratio(*_count_upright(p_of_truth[chosen[has_polarity[chosen]]]))
        return figures

    _, case = np.unique(comparison.case[rows], return_inverse=True)
    units = [rows[case == number] for number in range(int(case.max()) + 1)]
    part: dict[str, Any] = {
        "chromosomes": len(rows),
        "cells": len(np.unique(comparison.cell[rows])) if comparison.cell is not None else None,
        "cases": len(units) if comparison.unit == "case" else None,
        "missing": int((comparison.isolated.label[rows] == MISSING).sum()),
        **headline([rows]),
    }
    if resamples:
        intervals = bootstrap(units, headline, resamples=resamples, seed=seed)
        kept = {name: bounds for name, bounds in intervals.items() if not name.startswith("calibration_error")}
        part |= {"interval_unit": comparison.unit, "interval95": kept}
    part |= _confusion(comparison.true[rows], comparison.isolated.label[rows]) | _score_tables(isolated, rows)
    if assigned and comparison.assigned:
        part["assigned"] = _confusion(comparison.true[rows], comparison.assigned.label[rows])
        part["assigned"] |= _score_tables(assigned, rows)
    if has_polarity[rows].any():
        chosen = rows[has_polarity[rows]]
        part["polarity"] = _polarity(comparison.true[chosen], p_of_truth[chosen])
    predictions = comparison.predictions
    if (comparison.true[rows] == NO_CLASS).any() or any(
        (one.label[rows] == NO_CLASS).any() for one in predictions.values()
    ):
        part["no_class"] = {name: _no_class(comparison, one, rows) for name, one in predictions.items()}
    return part


def _score_tables(scored: ScoredPredictions, rows: Ints) -> dict[str, Any]:
    """Return the tables that need scores, or nothing if none of ``rows`` (R,) has one."""
    score, right = scored.score[rows], scored.right[rows]
    given = ~np.isnan(score)
    if not given.any():
        return {}
    tables: dict[str, Any] = {
        "reliability": reliability(score[given], right[given]),
        **_accepted(scored.curve(rows), ERROR_TARGETS),
    }
    cell_score, cell_right = scored.cells(rows)
    known = ~np.isnan(cell_score)
    if known.any():
        curve = RiskCoverage.of(cell_score, cell_right)
        tables["by_cell"] = {
            "cells": len(cell_score),
            "right": int(cell_right.sum()),
            **calibration(cell_score[known], cell_right[known]),
            "aurc": curve.area,
            "reliability": reliability(cell_score[known], cell_right[known]),
            **_accepted(curve, CELL_ERROR_TARGETS),
        }
    return tables


def _accepted(curve: RiskCoverage, targets: Sequence[float]) -> dict[str, Any]:
    """Return what a least score accepts, for errors up to each target, 0..1."""
    return {
        "operating_points": [curve.operating_point(target) for target in targets],
        "risk_coverage": curve.rows(),
    }


def _confusion(true: Ints, predicted: Ints) -> dict[str, Any]:
    counts = {
        LABELS[t]: Counter(LABELS[k] for k in predicted[true == t] if k != MISSING) for t in np.unique(true).tolist()
    }
    per_predicted = sum(counts.values(), Counter[str]())
    return {
        "per_class": {
            name: {
                "count": int((true == LABELS.index(name)).sum()),
                "recall": row[name] / int((true == LABELS.index(name)).sum()),
                "precision": ratio(row[name], per_predicted[name]),
                "mistaken_for": [other for other, _ in row.most_common(4) if other != name][:3],
            }
            for name, row in counts.items()
        },
        "confusion": {name: dict(row.most_common()) for name, row in counts.items()},
    }


def _count_upright(p_of_truth: Floats) -> tuple[int, int]:
    """Return the number with the right polarity, and of all; probability .5 is wrong."""
    return int((p_of_truth > 0.5).sum()), len(p_of_truth)


def _polarity(true: Ints, p_of_truth: Floats) -> dict[str, Any]:
    """Return the figures of the p arm's end.

    Images whose p arms are all up test nothing, unless they were turned at random before classification.
    """
    right, count = _count_upright(p_of_truth)
    wrong = Counter(LABELS[t] for t in true[p_of_truth <= 0.5])
    confidence = np.maximum(p_of_truth, 1 - p_of_truth)
    return {
        "count": count,
        "accuracy": ratio(right, count),
        **calibration(confidence, p_of_truth > 0.5),
        "wrong_per_class": dict(wrong.most_common()),
    }


def _no_class(comparison: ClassComparison, predictions: Predictions, rows: Ints) -> dict[str, Any]:
    """Return how well chromosomes without a class are recognised.

    ``auroc`` ranks by ``p_unknown`` if every row has it. Else ``?`` ranks first, by decreasing score, and classes
    follow, by increasing score.
    """
    true, predicted = comparison.true[rows] == NO_CLASS, predictions.label[rows] == NO_CLASS
    score, p_no_class = np.nan_to_num(predictions.score[rows]), comparison.p_no_class[rows]
    rank = np.where(np.isnan(p_no_class).any(), np.where(predicted, 1 + score, 1 - score), p_no_class)
    has_prediction = predictions.label[rows] != MISSING
    both = int((true & predicted).sum())
    return {
        "true": int(true.sum()),
        "said": int(predicted.sum()),
        "recall": ratio(both, int(true.sum())),
        "precision": ratio(both, int(predicted.sum())),
        "known_refused": ratio(int((predicted & ~true).sum()), int((~true).sum())),
        "auroc": auroc(rank[true & has_prediction], rank[~true & has_prediction]),
    }
