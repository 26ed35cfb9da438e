"""Predictions scored row by row, so that the bootstrap can resample rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Bools, Floats, Ints
from training.evaluation.classification.calibration import RiskCoverage, calibration
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, ClassComparison, Predictions
from training.evaluation.statistics import Figures, ratio


@dataclass(frozen=True, slots=True)
class ScoredPredictions:
    """N predictions compared with the truth."""

    right: Bools
    """(N,) whether the predicted class is the true one."""
    score: Floats
    """(N,) 0..1, NaN without a prediction."""
    class_score: Floats
    """(N,) ``score``, NaN also where no class is predicted."""
    first_of_cell: Bools
    """(N,) marks one row of each cell."""
    cell_right: Bools
    """(N,) whether every chromosome of the row's cell is right."""
    cell_score: Floats
    """(N,) product of the scores in the row's cell, 0..1; NaN where a chromosome has no predicted class."""

    @classmethod
    def of(cls, comparison: ClassComparison, predictions: Predictions) -> ScoredPredictions:
        """Score ``predictions``, which are the isolated or the assigned ones of ``comparison``."""
        right = comparison.true == predictions.label
        score = np.where(predictions.label == MISSING, np.nan, predictions.score)
        class_score = np.where(predictions.label == NO_CLASS, np.nan, score)
        first, whole, product = np.zeros(len(right), bool), np.zeros(len(right), bool), np.full(len(right), np.nan)
        if comparison.cell is not None:
            _, start, cell = np.unique(comparison.cell, return_index=True, return_inverse=True)
            first[start] = True
            whole = (np.bincount(cell, weights=~right) == 0)[cell]
            logs = np.log(np.maximum(class_score, np.finfo(float).tiny))
            product = np.exp(np.bincount(cell, weights=logs))[cell]
        return cls(right, score, class_score, first, whole, product)

    def figures(self, true: Ints, rows: Ints) -> Figures:
        """Return the figures of ``rows`` (R,), whose true classes are ``true`` (N,) at these rows."""
        right, score, first = self.right[rows], self.score[rows], self.first_of_cell[rows]
        given = ~np.isnan(score)
        of_class = np.bincount(true[rows], minlength=len(LABELS))
        found = np.bincount(true[rows], weights=right, minlength=len(LABELS))
        return {
            "accuracy_top1": float(right.mean()),
            "accuracy_balanced": float((found[of_class > 0] / of_class[of_class > 0]).mean()),
            "cells_right": ratio(int((first & self.cell_right[rows]).sum()), int(first.sum())),
            **calibration(score[given], right[given]),
            "aurc": self.curve(rows).area if given.any() else float("nan"),
        }

    def curve(self, rows: Ints) -> RiskCoverage:
        """Return the risk-coverage curve of ``rows`` (R,)."""
        return RiskCoverage.of(self.class_score[rows], self.right[rows])

    def cells(self, rows: Ints) -> tuple[Floats, Bools]:
        """Return (C,) the scores of the cells in ``rows`` (R,), and whether each is right."""
        chosen = rows[self.first_of_cell[rows]]
        return self.cell_score[chosen], self.cell_right[chosen]
