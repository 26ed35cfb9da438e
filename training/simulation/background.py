"""Other objects on the slide: interphase nuclei and debris."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey
from training.simulation.appearance import Contrast
from training.simulation.noise import blur, smooth_noise

_MAX_TRIES = 60  # positions tried for an object


def add_nuclei(
    stain: Grey,
    taken: NDArray[np.bool_],
    count: int,
    *,
    chromosome_length: float,
    contrast: Contrast,
    rng: np.random.Generator,
) -> list[tuple[int, int, int, int]]:
    """Add nuclei to a stain, clear of taken pixels; the border may cut them.

    Args:
        stain: (H, W) stain to add to.
        taken: (H, W) pixels to avoid; those of the nuclei are added.
        count: number of nuclei to try.
        chromosome_length: length of chromosome 1, pixels; the unit of their size.
        contrast: contrast of the microscope.
        rng: source of randomness.

    Returns:
        Boxes x, y, width, height of the nuclei that found room.
    """
    rows, columns = stain.shape
    boxes = []
    for _ in range(count):
        radius = float(chromosome_length * rng.uniform(0.5, 1.1))
        patch = _nucleus(radius, contrast, rng)
        for _ in range(_MAX_TRIES):
            x = int(rng.uniform(-0.8 * radius, columns - 1.2 * radius))
            y = int(rng.uniform(-0.8 * radius, rows - 1.2 * radius))
            if _paste(stain, taken, patch, x, y):
                h, w = patch.shape
                left, top = max(0, x), max(0, y)
                boxes.append((left, top, min(columns, x + w) - left, min(rows, y + h) - top))
                break
    return boxes


def add_debris(
    stain: Grey, taken: NDArray[np.bool_], count: int, chromosome_width: float, rng: np.random.Generator
) -> int:
    """Add specks of dust, irregular particles and smears to a stain, clear of taken pixels.

    Args:
        stain: (H, W) stain to add to.
        taken: (H, W) pixels to avoid; those of the debris are added.
        count: number of objects to try.
        chromosome_width: width of a chromosome, pixels; the unit of their size.
        rng: source of randomness.

    Returns:
        Number of objects that found room.
    """
    rows, columns = stain.shape
    added = 0
    for _ in range(count):
        kind = rng.choice(3, p=(0.55, 0.3, 0.15))
        if kind == 0:  # dust: small and dark
            patch = _blob(rng.uniform(0.08, 0.2) * chromosome_width, 0.3, rng) * rng.uniform(0.5, 1.6)
        elif kind == 1:  # particles: irregular and pale
            patch = _blob(rng.uniform(0.2, 0.55) * chromosome_width, 0.6, rng) * rng.uniform(0.1, 0.6)
        else:  # smears of cytoplasm: large, granular, hardly visible
            patch = _blob(rng.uniform(1.5, 4) * chromosome_width, 0.8, rng) * rng.uniform(0.02, 0.07)
            patch *= np.clip(1 + smooth_noise(patch.shape, 1.5, rng), 0, None)
        for _ in range(_MAX_TRIES):
            x, y = (int(rng.uniform(0, max(1, n - m))) for n, m in ((columns, patch.shape[1]), (rows, patch.shape[0])))
            if _paste(stain, taken, patch.astype(np.float32), x, y):
                added += 1
                break
    return added


def _nucleus(radius: float, contrast: Contrast, rng: np.random.Generator) -> Grey:
    body = _blob(radius, rng.uniform(0.03, 0.12), rng)
    grain = smooth_noise(body.shape, radius * rng.uniform(0.02, 0.05), rng) + 0.6 * smooth_noise(
        body.shape, radius * 0.15, rng
    )
    if contrast == "fluorescence":
        dome = np.sqrt(np.clip(blur(body, radius * 0.25), 0, 1))
        return (body * dome * rng.uniform(0.7, 2.0) * np.clip(1 + 0.15 * grain, 0.2, None)).astype(np.float32)
    depth = rng.uniform(0.2, 0.45) if rng.random() < 0.8 else rng.uniform(0.8, 1.5)
    return (body * depth * np.clip(1 + 0.22 * grain, 0.1, None)).astype(np.float32)


def _blob(radius: float, roughness: float, rng: np.random.Generator) -> Grey:
    """Return a round patch, about 1 inside, with a soft edge; roughness 0 gives an ellipse."""
    side = int(np.ceil(radius * (1.5 + roughness) + 3))
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    turn, squeeze = rng.uniform(0, np.pi), rng.uniform(0.78, 1)
    u = x * np.cos(turn) + y * np.sin(turn)
    v = (y * np.cos(turn) - x * np.sin(turn)) / squeeze
    angle = np.arctan2(v, u)
    outline = np.ones_like(angle)
    for k in range(2, 7):
        outline += roughness * rng.normal(0, 1) / k * np.cos(k * angle + rng.uniform(0, 2 * np.pi))
    distance = radius * np.clip(outline, 0.3, 1.5) - np.hypot(u, v)
    blob: Grey = (1 / (1 + np.exp(-np.clip(distance, -30, 30) / 0.6))).astype(np.float32)
    blob[blob < 0.01] = 0
    return blob


def _paste(stain: Grey, taken: NDArray[np.bool_], patch: Grey, x: int, y: int) -> bool:
    """Add a patch at ``x``, ``y`` unless it covers taken pixels; the stain may cut it off."""
    h, w = patch.shape
    top, left, bottom, right = max(0, y), max(0, x), min(stain.shape[0], y + h), min(stain.shape[1], x + w)
    if bottom <= top or right <= left:
        return False
    part = patch[top - y : bottom - y, left - x : right - x]
    window = np.s_[top:bottom, left:right]
    if (taken[window] & (part > 0.01)).any():
        return False
    stain[window] += part
    taken[window] |= part > 0.01
    return True
