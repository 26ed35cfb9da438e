"""Metrics of the router on labelled regions."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from karyotyping.segmentation.router import ROUTES


class RouterMetrics(TypedDict):
    """Metrics of the router; shares are 0..1."""

    regions: int
    accuracy: float
    mean_recall: float
    recall: dict[str, float]
    precision: dict[str, float]
    confusion: list[list[int]]


def measure(probabilities: NDArray[np.float32], route: NDArray[np.int64]) -> RouterMetrics:
    """Return accuracy, mean recall, and recall and precision by route.

    Args:
        probabilities: (N, routes) output of the router.
        route: (N,) true indices into ``ROUTES``.
    """
    table = np.zeros((len(ROUTES), len(ROUTES)), int)
    np.add.at(table, (route, probabilities.argmax(axis=1)), 1)
    right = table.diagonal()
    recall, precision = right / np.maximum(table.sum(axis=1), 1), right / np.maximum(table.sum(axis=0), 1)
    return {
        "regions": len(route),
        "accuracy": round(float(right.sum() / len(route)), 4),
        "mean_recall": round(float(recall[table.sum(axis=1) > 0].mean()), 4),
        "recall": {name: round(float(value), 4) for name, value in zip(ROUTES, recall, strict=True)},
        "precision": {name: round(float(value), 4) for name, value in zip(ROUTES, precision, strict=True)},
        "confusion": table.tolist(),
    }
