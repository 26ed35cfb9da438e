"""Predicted classes of single chromosomes against their truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from karyotyping.arrays import Bools, Floats, Ints
from training.evaluation.classification import plots
from training.evaluation.classification.calibration import ERROR_TARGETS, RiskCoverage, auroc, calibration, reliability
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, Answers, Compared, read
from training.evaluation.classification.gallery import gallery
from training.evaluation.statistics import Figures, bootstrap, ratio, without_nan


def evaluate_classes(truth: Path, predictions: Path, *, resamples: int = 500, seed: int = 0) -> dict[str, Any]:
    """Compare predicted classes with true ones; the files are those of ``data.read``.

    Args:
        truth: CSV, or a zip with an ``index.csv``.
        predictions: CSV.
        resamples: bootstrap resamples of the cases; 0 for no confidence intervals.
        seed: of the bootstrap.

    Raises:
        ValueError: one of the files is not in its format.
    """
    return report(read(truth, predictions), resamples=resamples, seed=seed)


def report(compared: Compared, *, resamples: int = 500, seed: int = 0) -> dict[str, Any]:
    """Every figure, for all chromosomes and by domain.

    Returns:
        ``accuracy_top1`` and ``accuracy_top5`` (the paper's Acc@1 and Acc@5), ``accuracy_balanced`` (mean recall of the
        classes), ``cells_right`` (share of cells with every chromosome right), the figures of ``calibration``,
        ``aurc``, and ``*_assigned`` if there are assigned classes, with ``interval95`` by the bootstrap over
        ``interval_unit`` (not of ECE, which resampling inflates); ``per_class`` with precision, recall and the most
        frequent mistakes; ``confusion``: counts by true class, then by predicted class; ``reliability``,
        ``operating_points`` and ``risk_coverage``; ``assigned``: the same tables of the assigned classes; ``polarity``
        and ``no_class`` where the files tell of them; ``by``: all of this by column of the truth that tells domains
        apart, then by its values.

        A chromosome without a prediction counts as wrong, and ``missing`` says how many; so does ``?``, unless it is
        true, and no score makes it an accepted answer. ``unknown`` predictions are for files that the truth does not
        have. A figure without a denominator is None.
    """
    whole = _part(compared, np.arange(len(compared)), resamples, seed)
    whole["unknown"] = compared.strangers
    whole["by"] = {
        column: {
            value: _part(compared, np.flatnonzero(values == value), resamples, seed)
            for value in np.unique(values).tolist()
        }
        for column, values in compared.groups.items()
        if len(np.unique(values)) > 1
    }
    cleaned: dict[str, Any] = without_nan(whole)
    return cleaned


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the figures of one set of answers are computed from, row by row, so that rows can be resampled."""

    right: Bools
    score: Floats
    """NaN where there is no answer."""
    accepted: Floats
    """The same, and NaN where the answer is no class."""
    first_of_cell: Bools
    cell_right: Bools

    @classmethod
    def of(cls, compared: Compared, answers: Answers) -> _Judged:
        right = compared.true == answers.label
        score = np.where(answers.label == MISSING, np.nan, answers.score)
        first, whole = np.zeros(len(right), bool), np.zeros(len(right), bool)
        if compared.cell is not None:
            _, start, cell = np.unique(compared.cell, return_index=True, return_inverse=True)
            first[start] = True
            whole = (np.bincount(cell, weights=~right) == 0)[cell]
        return cls(right, score, np.where(answers.label == NO_CLASS, np.nan, score), first, whole)

    def figures(self, true: Ints, rows: Ints) -> Figures:
        """Of the rows chosen."""
        right, score, first = self.right[rows], self.score[rows], self.first_of_cell[rows]
        given = ~np.isnan(score)
        of_class = np.bincount(true[rows], minlength=len(LABELS))
        found = np.bincount(true[rows], weights=right, minlength=len(LABELS))
        return {
            "accuracy_top1": float(right.mean()),
            "accuracy_balanced": float((found[of_class > 0] / of_class[of_class > 0]).mean()),
            "cells_right": ratio(int((first & self.cell_right[rows]).sum()), int(first.sum())),
            **calibration(score[given], right[given]),
            "aurc": RiskCoverage.of(self.accepted[rows], right).area if given.any() else float("nan"),
        }

    def tables(self, rows: Ints) -> dict[str, Any]:
        """Of the rows chosen; nothing if no answer has a score."""
        score, right = self.score[rows], self.right[rows]
        given = ~np.isnan(score)
        if not given.any():
            return {}
        curve = RiskCoverage.of(self.accepted[rows], right)
        return {
            "reliability": reliability(score[given], right[given]),
            "operating_points": [curve.within(target) for target in ERROR_TARGETS],
            "risk_coverage": curve.rows(),
        }


def _part(compared: Compared, rows: Ints, resamples: int, seed: int) -> dict[str, Any]:
    """The report on the chromosomes of ``rows``."""
    isolated = _Judged.of(compared, compared.isolated)
    assigned = _Judged.of(compared, compared.assigned) if compared.assigned else None
    turned = (compared.upright != 0) & ~np.isnan(compared.p_up)
    p_of_truth = np.where(compared.upright > 0, compared.p_up, 1 - compared.p_up)

    def headline(units: Sequence[Ints]) -> Figures:
        chosen = np.concatenate(units)
        figures = isolated.figures(compared.true, chosen)
        figures["accuracy_top5"] = float(compared.in_top5[chosen].mean())
        if assigned:
            together = assigned.figures(compared.true, chosen)
            figures["accuracy_assigned"] = together.pop("accuracy_top1")
            figures |= {f"{name}_assigned": value for name, value in together.items()}
        if turned.any():
            figures["accuracy_polarity"] = ratio(*_upright(p_of_truth[chosen[turned[chosen]]]))
        return figures

    _, case = np.unique(compared.case[rows], return_inverse=True)
    units = [rows[case == number] for number in range(int(case.max()) + 1)]
    found: dict[str, Any] = {
        "chromosomes": len(rows),
        "cells": len(np.unique(compared.cell[rows])) if compared.cell is not None else None,
        "cases": len(units) if compared.unit == "case" else None,
        "missing": int((compared.isolated.label[rows] == MISSING).sum()),
        **headline([rows]),
    }
    if resamples:
        intervals = bootstrap(units, headline, resamples=resamples, seed=seed)
        kept = {name: bounds for name, bounds in intervals.items() if not name.startswith("calibration_error")}
        found |= {"interval_unit": compared.unit, "interval95": kept}
    found |= _confusion(compared.true[rows], compared.isolated.label[rows]) | isolated.tables(rows)
    if assigned and compared.assigned:
        found["assigned"] = _confusion(compared.true[rows], compared.assigned.label[rows]) | assigned.tables(rows)
    if turned[rows].any():
        found["polarity"] = _polarity(compared.true[rows[turned[rows]]], p_of_truth[rows[turned[rows]]])
    answers = {"isolated": compared.isolated} | ({"assigned": compared.assigned} if compared.assigned else {})
    if any(
        (compared.true[rows] == NO_CLASS).any() or (said.label[rows] == NO_CLASS).any() for said in answers.values()
    ):
        found["no_class"] = {name: _no_class(compared, said, rows) for name, said in answers.items()}
    return found


def _confusion(true: Ints, said: Ints) -> dict[str, Any]:
    counts = {LABELS[t]: Counter(LABELS[k] for k in said[true == t] if k != MISSING) for t in np.unique(true).tolist()}
    everywhere = sum(counts.values(), Counter[str]())
    return {
        "per_class": {
            name: {
                "count": int((true == LABELS.index(name)).sum()),
                "recall": row[name] / int((true == LABELS.index(name)).sum()),
                "precision": ratio(row[name], everywhere[name]),
                "mistaken_for": [other for other, _ in row.most_common(4) if other != name][:3],
            }
            for name, row in counts.items()
        },
        "confusion": {name: dict(row.most_common()) for name, row in counts.items()},
    }


def _upright(p_of_truth: Floats) -> tuple[int, int]:
    """How many stand as they are said to, and of how many; undecided is wrong."""
    return int((p_of_truth > 0.5).sum()), len(p_of_truth)


def _polarity(true: Ints, p_of_truth: Floats) -> dict[str, Any]:
    """Which end is the p arm's. Pictures that all stand p arm up are no test, unless they were turned at random before
    the classifier saw them."""
    right, count = _upright(p_of_truth)
    wrong = Counter(LABELS[t] for t in true[p_of_truth <= 0.5])
    confident = np.maximum(p_of_truth, 1 - p_of_truth)
    return {
        "count": count,
        "accuracy": ratio(right, count),
        **calibration(confident, p_of_truth > 0.5),
        "wrong_per_class": dict(wrong.most_common()),
    }


def _no_class(compared: Compared, answers: Answers, rows: Ints) -> dict[str, Any]:
    """How well what is no chromosome of a known class is told from what is.

    ``auroc`` ranks by ``p_unknown`` if the predictions have it; else what is called ``?`` stands first, the surest at
    the head, and then the rest, the surest last.
    """
    true, said = compared.true[rows] == NO_CLASS, answers.label[rows] == NO_CLASS
    score, p_no_class = np.nan_to_num(answers.score[rows]), compared.p_no_class[rows]
    rank = np.where(np.isnan(p_no_class).any(), np.where(said, 1 + score, 1 - score), p_no_class)
    answered = answers.label[rows] != MISSING
    both = int((true & said).sum())
    return {
        "true": int(true.sum()),
        "said": int(said.sum()),
        "recall": ratio(both, int(true.sum())),
        "precision": ratio(both, int(said.sum())),
        "known_refused": ratio(int((said & ~true).sum()), int((~true).sum())),
        "auroc": auroc(rank[true & answered], rank[~true & answered]),
    }


def draw(compared: Compared, folder: Path, crops: Path | None = None) -> list[Path]:
    """Write ``confusion.png``, ``reliability.png``, ``risk_coverage.png``, and with ``crops`` ``errors.png``.

    Args:
        compared: the answers.
        folder: where to; it is made if need be.
        crops: zip or folder that holds the pictures under the names in the truth.

    Raises:
        ValueError: a picture is not in ``crops``.
    """
    answers = {"isolated": compared.isolated} | ({"assigned": compared.assigned} if compared.assigned else {})
    judged = {name: _Judged.of(compared, said) for name, said in answers.items() if not np.isnan(said.score).all()}
    drawn = {"confusion": plots.confusion(compared.true, compared.isolated.label)}
    if judged:
        everything = np.arange(len(compared))
        tables = {name: one.tables(everything)["reliability"] for name, one in judged.items()}
        drawn["reliability"] = plots.reliability_diagram(tables)
        curves = {name: RiskCoverage.of(one.accepted, one.right) for name, one in judged.items()}
        drawn["risk_coverage"] = plots.risk_coverage(curves)
    if crops:
        drawn["errors"] = gallery(compared, crops)
    folder.mkdir(parents=True, exist_ok=True)
    for name, pixels in drawn.items():
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return [folder / f"{name}.png" for name in drawn]
