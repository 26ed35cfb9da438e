"""Calibration of scores, and the error rate among predictions with high scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.stats import rankdata

from karyotyping.arrays import Bools, Floats, Ints
from training.evaluation.classification.schema import CurvePoint, OperatingPoint, ReliabilityBin
from training.evaluation.statistics import Figures, ratio, share_upper_bound

CALIBRATION_BINS = 15  # of equal width, over 0..1
ERROR_TARGETS = (0.01, 0.005, 0.001)  # share of errors, 0..1
CELL_ERROR_TARGETS = (0.1, 0.05, 0.02)  # share of cells with a wrong class, 0..1
COVERAGES = np.linspace(0.05, 1.0, 20)  # share of chromosomes, 0..1
_SCORE_MARGIN = 1e-6  # from 0 and 1: one wrong prediction with score 1 would make the log loss infinite


def _bins(score: Floats) -> Ints:
    """Return (M,) the bin of each score."""
    return np.minimum((score * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def calibration(score: Floats, right: Bools) -> Figures:
    """Return how well ``score`` is the probability that a prediction is right.

    Args:
        score: (M,) 0..1.
        right: (M,) whether the prediction is right.

    Returns:
        ``calibration_error``: ECE in 15 equal bins, 0..1 (Guo et al. 2017, "On calibration of modern neural networks",
        section 2). ``brier``: mean squared difference, 0..1 (Brier 1950,
        DOI 10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2). ``log_loss``: mean negative log-likelihood, nats. All are
        NaN without predictions.
    """
    gaps = np.bincount(_bins(score), weights=right - score, minlength=CALIBRATION_BINS)
    clipped = np.clip(score, _SCORE_MARGIN, 1 - _SCORE_MARGIN)
    return {
        "calibration_error": ratio(float(np.abs(gaps).sum()), len(score)),
        "brier": ratio(float(((score - right) ** 2).sum()), len(score)),
        "log_loss": ratio(float(-np.log(np.where(right, clipped, 1 - clipped)).sum()), len(score)),
    }


def reliability(score: Floats, right: Bools) -> list[ReliabilityBin]:
    """Return the reliability diagram of (M,) predictions, a row for each bin with any."""
    bins = _bins(score)
    return [
        {
            "from": b / CALIBRATION_BINS,
            "to": (b + 1) / CALIBRATION_BINS,
            "count": int((bins == b).sum()),
            "score": float(score[bins == b].mean()),
            "accuracy": float(right[bins == b].mean()),
        }
        for b in np.unique(bins).tolist()
    ]


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Errors among the predictions of at least a score, for every score.

    Source: Geifman & El-Yaniv 2017, "Selective classification for deep neural networks", section 2, arXiv:1705.08500.
    """

    score: Floats
    """(K,) distinct scores, highest first."""
    accepted: Ints
    """(K,) number of predictions of at least that score."""
    errors: Ints
    """(K,) number of them that are wrong."""
    total: int
    """Number of all chromosomes; no score covers those without a prediction."""
    errors_total: int
    """Number of all chromosomes without a right prediction."""

    @classmethod
    def of(cls, score: Floats, right: Bools) -> Self:
        """Return the curve of N chromosomes.

        Args:
            score: (N,) 0..1, NaN without a predicted class.
            right: (N,) whether the prediction is right.
        """
        predicted = ~np.isnan(score)
        distinct, group = np.unique(-score[predicted], return_inverse=True)
        wrong = np.bincount(group, weights=~right[predicted], minlength=len(distinct)).astype(np.int64)
        count = np.bincount(group, minlength=len(distinct))
        return cls(-distinct, np.cumsum(count), np.cumsum(wrong), len(score), int((~right).sum()))

    @property
    def coverage(self) -> Floats:
        """(K,) accepted share of all chromosomes, 0..1."""
        return np.asarray(self.accepted / self.total, np.float64)

    @property
    def error(self) -> Floats:
        """(K,) wrong share of the accepted, 0..1."""
        return np.asarray(self.errors / self.accepted, np.float64)

    @property
    def area(self) -> float:
        """AURC, 0..1: the error averaged over all coverages.

        Predictions of one score count in random order; those without a class follow last.
        """
        first = np.arange(1, self.total + 1)
        ends, errors = np.append(self.accepted, self.total), np.append(self.errors, self.errors_total)
        return float((np.interp(first, np.append(0, ends), np.append(0, errors)) / first).mean())

    def operating_point(self, target: float) -> OperatingPoint:
        """Return the lowest score from which the error is at most ``target``, 0..1.

        ``error_upper95`` is a one-sided bound for independent chromosomes and a score chosen on other data. It is too
        low with few errors, or few cases.
        """
        good = np.flatnonzero(self.error <= target)
        if not len(good):
            return {"target": target, "score": None, "coverage": 0.0, "accepted": 0, "errors": 0, "error_upper95": None}
        k = int(good[-1])
        accepted, errors = int(self.accepted[k]), int(self.errors[k])
        return {
            "target": target,
            "score": float(self.score[k]),
            "coverage": accepted / self.total,
            "accepted": accepted,
            "errors": errors,
            "error_upper95": share_upper_bound(errors, accepted),
        }

    def rows(self) -> list[CurvePoint]:
        """Return the curve at every twentieth of coverage that its scores reach."""
        places = np.searchsorted(self.coverage, COVERAGES - 1e-12)
        return [
            {"coverage": float(self.coverage[k]), "score": float(self.score[k]), "error": float(self.error[k])}
            for k in dict.fromkeys(places[places < len(self.score)].tolist())
        ]


def auroc(positive: Floats, negative: Floats) -> float:
    """Return the probability that one of ``positive`` scores higher than one of ``negative``.

    Ties count half; the result is NaN if either is empty. Source: Mann & Whitney 1947,
    DOI 10.1214/aoms/1177730491.

    >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    wins = float(rankdata(np.concatenate([positive, negative]))[: len(positive)].sum())
    wins -= len(positive) * (len(positive) + 1) / 2
    return ratio(wins, len(positive) * len(negative))
