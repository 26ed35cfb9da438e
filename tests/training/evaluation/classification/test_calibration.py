"""Calibration and risk-coverage, by hand and against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.classification.calibration import RiskCoverage, auroc, calibration, reliability


def test_calibration_equals_that_by_hand() -> None:
    score, right = np.array([0.9, 0.9, 0.5]), np.array([True, False, True])
    found = calibration(score, right)
    assert found["calibration_error"] == pytest.approx((abs(1 - 1.8) + 0.5) / 3)
    assert found["brier"] == pytest.approx((0.01 + 0.81 + 0.25) / 3)
    assert found["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.1) + np.log(0.5)) / 3)


def test_log_loss_of_a_wrong_prediction_with_score_1_is_finite() -> None:
    assert 10 < calibration(np.array([1.0]), np.array([False]))["log_loss"] < 20


def test_scores_equal_to_the_accuracy_are_calibrated() -> None:
    random = np.random.default_rng(0)
    score = random.random(50_000)
    assert calibration(score, random.random(50_000) < score)["calibration_error"] < 0.02
    assert calibration(score, random.random(50_000) < score**3)["calibration_error"] > 0.2


def test_reliability_rows_hold_every_prediction() -> None:
    rows = reliability(np.array([0.0, 0.9, 0.92, 1.0]), np.array([False, True, False, True]))
    assert [(row["count"], row["accuracy"]) for row in rows] == [(1, 0.0), (2, 0.5), (1, 1.0)]
    assert rows[1]["score"] == pytest.approx(0.91)
    assert rows[1]["from"] <= 0.9 < rows[1]["to"]


def test_risk_coverage_equals_that_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.4, np.nan])
    curve = RiskCoverage.of(score, np.array([True, True, False, False, False]))
    np.testing.assert_array_equal(curve.score, [0.9, 0.8, 0.4])
    np.testing.assert_array_equal(curve.accepted, [1, 3, 4])
    np.testing.assert_array_equal(curve.errors, [0, 1, 2])
    np.testing.assert_allclose(curve.coverage, [0.2, 0.6, 0.8])
    assert curve.area == pytest.approx((0 + 0.5 / 2 + 1 / 3 + 2 / 4 + 3 / 5) / 5)
    assert curve.rows()[-1] == {"coverage": 0.8, "score": 0.4, "error": 0.5}


def test_order_of_equal_scores_does_not_change_the_area() -> None:
    random = np.random.default_rng(1)
    score, right = np.round(random.random(500), 1), random.random(500) < 0.7
    shuffled = random.permutation(500)
    assert RiskCoverage.of(score, right).area == pytest.approx(RiskCoverage.of(score[shuffled], right[shuffled]).area)


def test_operating_point_has_the_bound_of_its_errors() -> None:
    score = np.linspace(1, 0, 1000)
    right = np.ones(1000, bool)
    right[[499, 700, 701, 702]] = False
    point = RiskCoverage.of(score, right).operating_point(0.002)
    assert (point["accepted"], point["errors"], point["coverage"]) == (700, 1, 0.7)
    assert point["score"] == score[699]
    assert point["error_upper95"] == pytest.approx(0.00676, abs=1e-4)  # about 4.74 / n for one error
    perfect = RiskCoverage.of(score, np.ones(1000, bool)).operating_point(0.001)
    assert perfect["error_upper95"] == pytest.approx(3 / 1000, rel=0.01)  # the rule of three


def test_operating_point_without_a_sufficient_score_is_empty() -> None:
    point = RiskCoverage.of(np.array([0.9, 0.5]), np.array([False, True])).operating_point(0.01)
    assert (point["score"], point["accepted"], point["coverage"]) == (None, 0, 0.0)


def test_auroc_counts_ties_half() -> None:
    assert auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1])) == (2 + 1 + 0.5) / 4
    assert np.isnan(auroc(np.array([0.9]), np.zeros(0)))
