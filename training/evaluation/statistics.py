"""Confidence intervals of figures, and figures as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from scipy.stats import beta, binomtest

from karyotyping.arrays import Floats

Figures = dict[str, float]
"""Figures by name; NaN where the denominator is 0."""
Figure = float | None
"""A figure in a report; None where the denominator is 0."""
Unit = TypeVar("Unit")


def ratio(part: float, whole: float) -> float:
    """Return ``part / whole``, or NaN if ``whole`` is 0.

    >>> ratio(1, 4), ratio(0, 0)
    (0.25, nan)
    """
    return float(part / whole) if whole else float("nan")


def bootstrap(
    units: Sequence[Unit], figures: Callable[[Sequence[Unit]], Figures], *, resamples: int, seed: int
) -> dict[str, list[float]]:
    """Return 95 % percentile intervals of ``figures``, resampling whole units.

    Source: Efron 1979, "Bootstrap methods", DOI 10.1214/aos/1176344552.

    Args:
        units: images or cases, never chromosomes: those of one cell share its stain, focus and crowding.
        figures: computes the figures of a sample of units.
        resamples: number of samples, at least 1.
        seed: of the random generator.

    Returns:
        ``[low, high]`` of each figure; NaN where no sample has the figure.
    """
    random = np.random.default_rng(seed)
    draws = [figures([units[i] for i in random.integers(0, len(units), len(units))]) for _ in range(resamples)]
    return {name: _interval(np.array([draw[name] for draw in draws])) for name in draws[0]}


def _interval(values: Floats) -> list[float]:
    defined = values[~np.isnan(values)]
    return [float(bound) for bound in np.percentile(defined, [2.5, 97.5])] if len(defined) else [np.nan, np.nan]


def share_upper_bound(events: int, trials: int, confidence: float = 0.95) -> float:
    """Return the one-sided upper bound, 0..1, of the share of ``events`` among ``trials``.

    Source: Clopper & Pearson 1934, "The use of confidence or fiducial limits", DOI 10.1093/biomet/26.4.404.

    >>> round(share_upper_bound(0, 1000), 4)
    0.003
    """
    return float(beta.ppf(confidence, events + 1, trials - events)) if events < trials else 1.0


def wilson_interval(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided score interval, 0..1, of the share of ``events`` among ``trials``.

    There is at least one trial.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference",
    DOI 10.1080/01621459.1927.10502953.

    >>> [round(bound, 4) for bound in wilson_interval(81, 263)]
    [0.2553, 0.3662]
    """
    interval = binomtest(events, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def nan_to_none(value: Any) -> Any:
    """Return ``value`` with None for every NaN, which JSON does not have.

    >>> nan_to_none({"AER": [float("nan"), 0.5]})
    {'AER': [None, 0.5]}
    """
    if isinstance(value, dict):
        return {name: nan_to_none(item) for name, item in value.items()}
    if isinstance(value, list):
        return [nan_to_none(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
