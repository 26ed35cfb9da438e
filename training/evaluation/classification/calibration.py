"""What scores are worth: whether they mean what they say, and how many errors are left where they are high."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.stats import rankdata

from karyotyping.arrays import Bools, Floats, Ints
from training.evaluation.statistics import Figures, ratio, share_at_most

CALIBRATION_BINS = 15
ERROR_TARGETS = (0.01, 0.005, 0.001)
COVERAGES = np.linspace(0.05, 1.0, 20)
_SUREST = 1e-6
"""A score this near to 0 or 1 is taken for this: one wrong answer with score 1 would make the log loss infinite."""


def _bins(score: Floats) -> Ints:
    return np.minimum((score * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)


def calibration(score: Floats, right: Bools) -> Figures:
    """How well ``score`` (M,) is the probability that the answer is ``right`` (M,); NaN of no answers.

    ``calibration_error``: ECE in 15 equal bins (Guo et al. 2017). ``brier``: mean squared difference (Brier 1950).
    ``log_loss``: mean negative log-likelihood, nats.
    """
    gaps = np.bincount(_bins(score), weights=right - score, minlength=CALIBRATION_BINS)
    sure = np.clip(score, _SUREST, 1 - _SUREST)
    return {
        "calibration_error": ratio(float(np.abs(gaps).sum()), len(score)),
        "brier": ratio(float(((score - right) ** 2).sum()), len(score)),
        "log_loss": ratio(float(-np.log(np.where(right, sure, 1 - sure)).sum()), len(score)),
    }


def reliability(score: Floats, right: Bools) -> list[dict[str, float]]:
    """The reliability diagram as rows: bounds of each bin that holds answers, their number, mean score, accuracy."""
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
    """Errors among the answers of at least a score, for every score there is (Geifman & El-Yaniv 2017)."""

    score: Floats
    """(K,) distinct scores, highest first."""
    accepted: Ints
    """(K,) answers of at least that score."""
    errors: Ints
    """(K,) those of them that are wrong."""
    total: int
    """All chromosomes: those without an answer are covered by no score."""
    errors_total: int

    @classmethod
    def of(cls, score: Floats, right: Bools) -> Self:
        """From (N,) scores, NaN for what got no class, and whether the answer is right."""
        answered = ~np.isnan(score)
        distinct, group = np.unique(-score[answered], return_inverse=True)
        wrong = np.bincount(group, weights=~right[answered], minlength=len(distinct)).astype(np.int64)
        count = np.bincount(group, minlength=len(distinct))
        return cls(-distinct, np.cumsum(count), np.cumsum(wrong), len(score), int((~right).sum()))

    @property
    def coverage(self) -> Floats:
        """(K,) share of all chromosomes."""
        return np.asarray(self.accepted / self.total, np.float64)

    @property
    def error(self) -> Floats:
        """(K,) share of the accepted that is wrong."""
        return np.asarray(self.errors / self.accepted, np.float64)

    @property
    def area(self) -> float:
        """AURC: the error averaged over all coverages. Answers of one score, and at last all that got no class, come in
        random order."""
        first = np.arange(1, self.total + 1)
        ends, errors = np.append(self.accepted, self.total), np.append(self.errors, self.errors_total)
        return float((np.interp(first, np.append(0, ends), np.append(0, errors)) / first).mean())

    def within(self, target: float) -> dict[str, Any]:
        """The lowest score from which the error is at most ``target``, and how many errors that rests on.

        ``error_upper95`` bounds the error one-sidedly, as if chromosomes were independent and the score had been chosen
        elsewhere: with few errors, or few cases, it flatters.
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
            "error_upper95": share_at_most(errors, accepted),
        }

    def rows(self) -> list[dict[str, float]]:
        """The curve at every twentieth of coverage that its scores reach."""
        places = np.searchsorted(self.coverage, COVERAGES - 1e-12)
        return [
            {"coverage": float(self.coverage[k]), "score": float(self.score[k]), "error": float(self.error[k])}
            for k in dict.fromkeys(places[places < len(self.score)].tolist())
        ]


def auroc(positive: Floats, negative: Floats) -> float:
    """Probability that one of ``positive`` scores higher than one of ``negative``, ties counting half; NaN if either
    is empty (Mann & Whitney 1947)."""
    wins = float(rankdata(np.concatenate([positive, negative]))[: len(positive)].sum())
    wins -= len(positive) * (len(positive) + 1) / 2
    return ratio(wins, len(positive) * len(negative))
