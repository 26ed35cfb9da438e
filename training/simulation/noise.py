"""Gaussian blur and smooth noise."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey


def blur(plane: NDArray[Any], sigma: float) -> Grey:
    """Return a plane (H, W) after a Gaussian blur with a standard deviation of ``sigma`` pixels."""
    return np.asarray(cv2.GaussianBlur(np.asarray(plane, np.float32), (0, 0), sigma), np.float32)


def smooth_noise(shape: tuple[int, ...], grain: float, rng: np.random.Generator) -> Grey:
    """Return noise (H, W) of mean 0 and variance 1, smooth over ``grain`` pixels."""
    noise = blur(rng.standard_normal(shape, dtype=np.float32), max(0.5, grain))
    return np.asarray(noise / max(float(noise.std()), 1e-6), np.float32)
