"""Simulated microscope: from stain to grey levels."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey
from training.simulation.appearance import Contrast
from training.simulation.noise import blur


def capture(
    stain: Grey,
    optics: Mapping[str, float],
    contrast: Contrast,
    rng: np.random.Generator,
    light: Grey | None = None,
) -> NDArray[np.uint8]:
    """Return the image of a stain.

    In bright field, absorbances add along the path of light (Beer-Lambert law): ``I = I0 exp(-stain)``. In
    fluorescence, brightness adds: ``I = dark + scale * stain``. Blur acts on light, not on stain.

    Args:
        stain: (H, W) absorbance in bright field, brightness in fluorescence.
        optics: one value of each range of ``Optics``.
        contrast: contrast of the microscope.
        rng: source of randomness.
        light: (H, W) illumination, about 1; drawn if None.

    Returns:
        (H, W) uint8 grey levels.
    """
    light = illumination(stain.shape, optics, rng) if light is None else light
    if contrast == "bright_field":
        image: Grey = np.float32(optics["background"]) * np.exp(-stain)
        image = _scatter(blur(image, optics["blur"]), optics["haze"]) * light
    else:
        image = np.float32(optics["full_scale"]) * np.minimum(stain, 4)
        image = _scatter(blur(image, optics["blur"]), optics["haze"]) * light + optics["background"]
    variance = optics["noise"] ** 2 + optics["shot_noise"] * image
    image = image + np.sqrt(np.maximum(variance, 0)) * rng.standard_normal(stain.shape, dtype=np.float32)
    if optics["sharpening"] > 0:
        image = image + optics["sharpening"] * (image - blur(image, 2.0))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def illumination(shape: tuple[int, ...], optics: Mapping[str, float], rng: np.random.Generator) -> Grey:
    """Return an illumination (H, W) of about 1: darker in the corners and on one side.

    Args:
        shape: (H, W).
        optics: values of ``vignetting`` and ``slope``.
        rng: source of randomness.
    """
    rows, columns = shape
    y, x = np.linspace(-1, 1, rows, dtype=np.float32)[:, None], np.linspace(-1, 1, columns, dtype=np.float32)[None]
    angle = rng.uniform(0, 2 * np.pi)
    slope = optics["slope"] * 0.5 * (np.cos(angle) * x + np.sin(angle) * y)
    return np.asarray(1 - optics["vignetting"] * 0.5 * (x**2 + y**2) + slope, np.float32)


def _scatter(image: Grey, share: float) -> Grey:
    """Scatter a share of the light by about ten pixels; computed at a quarter of the size."""
    small = cv2.resize(image, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    far = cv2.resize(blur(small, 4), image.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray((1 - share) * image + share * far, np.float32)
