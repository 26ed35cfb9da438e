"""Augmentation of straightened chromosomes, for whole batches.

Simulated differences between laboratories, none of which changes a class: condensation (length, width, distance of the
arms), imperfect straightening, polarity, mirroring; depth of stain, contrast, exposure and shading; stain of the
centromere; optical blur and band resolution; noise; an arm of a neighbour across the chromosome.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from karyotyping.classification.embedder import COLUMNS, ROWS
from training.embedder.data import LEVELS

_HARMONICS = 3  # sines in a random curve
_CROSSED_SHARE = 0.15  # share of chromosomes, 0..1, with an arm of a neighbour across them
_CUT_SHARE = 0.08  # share of chromosomes, 0..1, with an end cut off
_STAINED_SHARE = 0.25  # share of chromosomes, 0..1, whose centromere takes more stain
_MAX_CENTROMERE_STAIN = 1.3  # factor of the stain that a centromere gains at most
_MIN_BAND_CONTRAST = 0.65  # factor of the bands' contrast, at least, where the centromere is stained


@dataclass(frozen=True, slots=True)
class Strength:
    """Strengths of the augmentation: standard deviations unless stated otherwise."""

    length: float = 0.06
    """Logarithm of the length."""
    width: float = 0.1
    """Logarithm of the width."""
    shift: float = 1.5
    """Shift along the axis, rows."""
    shear: float = 0.03
    """Columns per row."""
    warp: float = 1.2
    """Shift along the axis, rows; of the slowest of three waves."""
    sway: float = 0.8
    """Shift across the axis, columns; of the slowest of three waves."""
    taper: float = 0.06
    """Logarithm of the width along the axis; of the slowest of three waves."""
    contrast: float = 0.25
    """Logarithm of the contrast."""
    exposure: float = 0.12
    """Mean stain."""
    gamma: float = 0.15
    """Logarithm of the exponent of the stain."""
    shading: float = 0.1
    """Stain along the axis; of the slowest of three waves."""
    noise: float = 0.12
    """Largest standard deviation of the noise."""
    blur: float = 0.6
    """Share of chromosomes that are blurred or sharpened, 0..1."""


def augment(canvas: Tensor, turned: Tensor, random: torch.Generator, strength: Strength | None = None) -> Tensor:
    """Return augmented inputs of the network.

    Args:
        canvas: (N, *CANVAS_SHAPE) in ``LEVELS``.
        turned: (N,) bool, which chromosomes to turn by 180 degrees.
        random: source of randomness.
        strength: strengths of the augmentation; the usual ones by default.

    Returns:
        (N, 1, ROWS, COLUMNS) float32, 0..3.
    """
    s = strength or Strength()
    n = len(canvas)

    def normal(*shape: int) -> Tensor:
        return torch.randn((n, *shape), generator=random)

    def uniform(*shape: int) -> Tensor:
        return torch.rand((n, *shape), generator=random)

    def wave() -> Tensor:
        """Return (N, ROWS) smooth random curves of unit amplitude."""
        order = torch.arange(1, _HARMONICS + 1)
        phase = 2 * torch.pi * uniform(_HARMONICS, 1)
        height = normal(_HARMONICS, 1) / order[:, None]
        return (height * torch.sin(torch.pi * order[:, None] * rows / (ROWS / 2) + phase)).sum(dim=1)

    rows = torch.arange(ROWS) + 0.5 - ROWS / 2
    columns = torch.arange(COLUMNS) + 0.5 - COLUMNS / 2
    polarity = torch.where(turned, -1.0, 1.0)[:, None]
    side = torch.where(uniform(1) < 0.5, -1.0, 1.0)
    y = polarity * rows * torch.exp(s.length * normal(1)) + s.shift * normal(1) + s.warp * wave()
    across = side * torch.exp(s.width * normal(1) + s.taper * wave())
    x = across[:, :, None] * columns + (s.shear * normal(1) * rows + 0.7 * normal(1) + s.sway * wave())[:, :, None]
    grid = torch.stack([x / (canvas.shape[2] / 2), (y / (canvas.shape[1] / 2))[:, :, None].expand_as(x)], dim=3)
    stain = functional.grid_sample(canvas[:, None].float() / LEVELS, grid, align_corners=False)

    amount = torch.where(uniform(1, 1, 1) < s.blur, 1.4 * uniform(1, 1, 1) - 0.4, 0.0)
    stain = torch.clamp(stain + amount * (_blurred(stain) - stain), min=0)
    inside = (stain > 0.02).float()
    relative = (stain - 1) * torch.exp(s.contrast * normal(1, 1, 1))
    tone = relative + s.exposure * normal(1, 1, 1) + s.shading * wave()[:, None, :, None]
    stain = torch.clamp(1 + tone, min=0.05) ** torch.exp(s.gamma * normal(1, 1, 1))
    stain = stain * inside
    crossing = (uniform(1) < _CROSSED_SHARE) & ((rows - 30 * normal(1)).abs() < 3 + 5 * uniform(1))
    stain = stain + crossing[:, None, :, None] * inside * (0.2 + uniform(1, 1, 1))
    end = 20 + 30 * uniform(1)
    gone = (uniform(1) < _CUT_SHARE) & (side * rows > end)
    stain = stain * ~gone[:, None, :, None]
    noise = torch.randn(stain.shape, generator=random) * (s.noise * uniform(1, 1, 1) ** 2)
    return torch.clamp(stain + inside * noise, 0, 3)


def stain_centromeres(canvas: Tensor, centromere: Tensor, random: torch.Generator) -> Tensor:
    """Stain the centromeres of some chromosomes, and flatten their bands.

    Fluorochromes that bind to satellite DNA, and denaturation before them, brighten the centromeres in some
    laboratories, whatever the class.

    Args:
        canvas: (N, H, W) uint8 in ``LEVELS``.
        centromere: (N,) rows of the canvas; chromosomes with NaN keep their stain.
        random: source of randomness.

    Returns:
        (N, H, W) float32 in ``LEVELS``.
    """
    n = len(canvas)

    def uniform() -> Tensor:
        return torch.rand((n, 1, 1), generator=random)

    chosen = (uniform() < _STAINED_SHARE) & ~centromere.isnan()[:, None, None]
    place = torch.nan_to_num(centromere)[:, None, None] + torch.randn((n, 1, 1), generator=random)
    rows = (torch.arange(canvas.shape[1]) + 0.5)[None, :, None]
    spot = torch.exp(-0.5 * ((rows - place) / (2 + 2.5 * uniform())) ** 2)
    contrast = torch.where(chosen, 1 - (1 - _MIN_BAND_CONTRAST) * uniform(), 1.0)
    amount = torch.where(chosen, _MAX_CENTROMERE_STAIN * uniform(), 0.0)
    stain = canvas.float() / LEVELS
    inside = (stain > 0.2).float()
    stained = inside + contrast * (stain - inside) + amount * spot * stain.clamp(max=1)
    return torch.clamp(LEVELS * stained, 0, 255)


def _blurred(stain: Tensor) -> Tensor:
    weights = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / 1.3) ** 2)
    weights /= weights.sum()
    down = functional.conv2d(stain, weights[None, None, :, None], padding=(3, 0))
    return functional.conv2d(down, weights[None, None, None, :], padding=(0, 3))
