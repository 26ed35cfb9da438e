"""What every evaluation does with its figures: how sure they are, and how they are written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

Figures = dict[str, float]
Unit = TypeVar("Unit")


def ratio(part: float, whole: float) -> float:
    """``part / whole``, NaN of nothing."""
    return float(part / whole) if whole else float("nan")


def bootstrap(
    units: Sequence[Unit], figures: Callable[[Sequence[Unit]], Figures], *, resamples: int, seed: int
) -> dict[str, list[float]]:
    """95 % percentile intervals ``[low, high]`` of ``figures``, resampling whole units (Efron 1979).

    A unit is an image or a case, never a chromosome: those of one cell share its stain, focus and crowding.
    """
    random = np.random.default_rng(seed)
    draws = [figures([units[i] for i in random.integers(0, len(units), len(units))]) for _ in range(resamples)]
    return {name: _interval(np.array([draw[name] for draw in draws])) for name in draws[0]}


def _interval(values: NDArray[np.float64]) -> list[float]:
    defined = values[~np.isnan(values)]
    return [float(bound) for bound in np.percentile(defined, [2.5, 97.5])] if len(defined) else [np.nan, np.nan]


def share_at_most(events: int, trials: int, confidence: float = 0.95) -> float:
    """One-sided upper bound of the share that ``events`` of ``trials`` are a sample of (Clopper & Pearson 1934)."""
    return float(beta.ppf(confidence, events + 1, trials - events)) if events < trials else 1.0


def without_nan(value: Any) -> Any:
    """``value`` with None for every NaN, which JSON does not know."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and np.isnan(value) else value
