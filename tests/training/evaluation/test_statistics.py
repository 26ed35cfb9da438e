"""Confidence intervals and bounds of figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from training.evaluation.statistics import Figures, bootstrap, nan_to_none, ratio, share_upper_bound


def test_interval_width_follows_the_number_of_units() -> None:
    random = np.random.default_rng(0)
    cases = [random.normal(1.0, 0.5, 1).repeat(40) for _ in range(100)]  # 40 chromosomes, all alike

    def mean(units: Sequence[np.ndarray]) -> Figures:
        return {"mean": float(np.concatenate(units).mean()), "undefined": ratio(0, 0)}

    found = bootstrap(cases, mean, resamples=400, seed=1)
    low, high = found["mean"]
    assert low < mean(cases)["mean"] < high
    assert high - low == pytest.approx(2 * 1.96 * 0.05, rel=0.25)
    assert found == bootstrap(cases, mean, resamples=400, seed=1) | {"undefined": found["undefined"]}
    assert np.isnan(found["undefined"]).all()


@pytest.mark.parametrize(("events", "trials", "bound"), [(0, 10, 1 - 0.05**0.1), (10, 10, 1.0), (1, 2, 0.95**0.5)])
def test_upper_bound_equals_clopper_pearson(events: int, trials: int, bound: float) -> None:
    assert share_upper_bound(events, trials) == pytest.approx(bound, abs=1e-4)


def test_nan_becomes_none_at_any_depth() -> None:
    assert nan_to_none({"a": [float("nan"), {"b": 1.0}]}) == {"a": [None, {"b": 1.0}]}
