"""Toy samples: bent bars that cross, drawn without the simulator."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from training.segmenter.sample import AXIS_POINTS, Sample

SIDE, WIDTH = 256, 12


def toy_sample(seed: int, pairs: int = 5, singles: int = 4) -> Sample:
    """Return samples with ``pairs`` of bent bars that cross near their middles, and single ones."""
    rng = np.random.default_rng(seed)
    places = [(60 + 68 * (k % 3), 60 + 68 * (k // 3)) for k in range(9)]
    places = [places[k] for k in rng.permutation(9)]
    stain = np.zeros((SIDE, SIDE), np.float32)
    masks: list[NDArray[np.bool_]] = []
    axes: list[NDArray[np.float32]] = []
    for number in range(pairs + singles):
        angle = rng.uniform(0, np.pi)
        for turn in (0.0, rng.uniform(0.9, np.pi / 2))[: 2 if number < pairs else 1]:
            along = np.linspace(-0.5, 0.5, 16) * rng.uniform(36, 64)
            bend = rng.uniform(-0.008, 0.008) * along**2
            c, s = np.cos(angle + turn), np.sin(angle + turn)
            middle = np.array(places[number]) + rng.uniform(-4, 4, 2)
            axis = np.stack([c * along - s * bend, s * along + c * bend], axis=1) + middle
            mask = np.zeros((SIDE, SIDE), np.uint8)
            cv2.polylines(mask, [np.round(16 * axis).astype(np.int32)], False, 1, WIDTH, shift=4)
            masks.append(mask > 0)
            axes.append(axis.astype(np.float32))
            stain += rng.uniform(0.7, 1.1) * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.2)
    stain += rng.normal(0, 0.03, stain.shape).astype(np.float32)
    stack = np.array(masks, bool).reshape(-1, SIDE, SIDE)
    return Sample(stain.astype(np.float32), stack, np.array(axes, np.float32).reshape(-1, AXIS_POINTS, 2))


@pytest.fixture(scope="session")
def draw_toy() -> Callable[..., Sample]:
    """Return a function that draws the sample of a seed."""
    return toy_sample
