"""What may differ between laboratories without changing a chromosome's class, done to whole batches at once.

Condensation (length, width, arms apart), how straight the straightening came out, either end up, mirrored; depth of
stain, contrast, exposure and shading; how centromeres take the stain; optical blur and band resolution; noise; an arm
of a neighbour lying across.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from karyotyping.classification.embedder import COLUMNS, ROWS
from training.embedder.data import LEVELS

_HARMONICS = 3
_NEIGHBOUR = 0.15
_CUT = 0.08
_STAINED_CENTROMERES, _STRONGEST, _PALEST = 0.25, 1.3, 0.65
"""Share of the pictures whose centromere takes more stain, the most that it takes, the least contrast that is left."""


@dataclass(frozen=True, slots=True)
class Strength:
    """Standard deviations, unless said otherwise."""

    length: float = 0.06
    width: float = 0.1
    shift: float = 1.5
    """Rows."""
    shear: float = 0.03
    warp: float = 1.2
    """Rows; of the slowest of three waves."""
    sway: float = 0.8
    """Columns; likewise."""
    taper: float = 0.06
    contrast: float = 0.25
    exposure: float = 0.12
    gamma: float = 0.15
    shading: float = 0.1
    noise: float = 0.12
    """Largest."""
    blur: float = 0.6
    """Share of the pictures that are blurred or sharpened."""


def augment(canvas: Tensor, turned: Tensor, random: torch.Generator, strength: Strength | None = None) -> Tensor:
    """Pictures as the network sees them, (N, 1, ROWS, COLUMNS).

    Args:
        canvas: (N, ROWS + margin, COLUMNS + margin) in ``LEVELS``.
        turned: (N,) bool, which of them to stand on their heads.
        random: where chance comes from.
        strength: how much of everything.
    """
    s = strength or Strength()
    n = len(canvas)

    def normal(*shape: int) -> Tensor:
        return torch.randn((n, *shape), generator=random)

    def uniform(*shape: int) -> Tensor:
        return torch.rand((n, *shape), generator=random)

    def wave() -> Tensor:
        """(N, ROWS) smooth random curves of unit amplitude."""
        order = torch.arange(1, _HARMONICS + 1)
        phase = 2 * torch.pi * uniform(_HARMONICS, 1)
        height = normal(_HARMONICS, 1) / order[:, None]
        return (height * torch.sin(torch.pi * order[:, None] * rows / (ROWS / 2) + phase)).sum(dim=1)

    rows = torch.arange(ROWS) + 0.5 - ROWS / 2
    columns = torch.arange(COLUMNS) + 0.5 - COLUMNS / 2
    upside = torch.where(turned, -1.0, 1.0)[:, None]
    side = torch.where(uniform(1) < 0.5, -1.0, 1.0)
    y = upside * rows * torch.exp(s.length * normal(1)) + s.shift * normal(1) + s.warp * wave()
    across = side * torch.exp(s.width * normal(1) + s.taper * wave())
    x = across[:, :, None] * columns + (s.shear * normal(1) * rows + 0.7 * normal(1) + s.sway * wave())[:, :, None]
    grid = torch.stack([x / (canvas.shape[2] / 2), (y / (canvas.shape[1] / 2))[:, :, None].expand_as(x)], dim=3)
    seen = functional.grid_sample(canvas[:, None].float() / LEVELS, grid, align_corners=False)

    amount = torch.where(uniform(1, 1, 1) < s.blur, 1.4 * uniform(1, 1, 1) - 0.4, 0.0)
    seen = torch.clamp(seen + amount * (_blurred(seen) - seen), min=0)
    inside = (seen > 0.02).float()
    relative = (seen - 1) * torch.exp(s.contrast * normal(1, 1, 1))
    tone = relative + s.exposure * normal(1, 1, 1) + s.shading * wave()[:, None, :, None]
    seen = torch.clamp(1 + tone, min=0.05) ** torch.exp(s.gamma * normal(1, 1, 1))
    seen = seen * inside
    crossing = (uniform(1) < _NEIGHBOUR) & ((rows - 30 * normal(1)).abs() < 3 + 5 * uniform(1))
    seen = seen + crossing[:, None, :, None] * inside * (0.2 + uniform(1, 1, 1))
    end = 20 + 30 * uniform(1)
    gone = (uniform(1) < _CUT) & (side * rows > end)
    seen = seen * ~gone[:, None, :, None]
    grain = torch.randn(seen.shape, generator=random) * (s.noise * uniform(1, 1, 1) ** 2)
    return torch.clamp(seen + inside * grain, 0, 3)


def stain_centromeres(canvas: Tensor, centromere: Tensor, random: torch.Generator) -> Tensor:
    """Some of the canvases with a darker centromere between paler bands, as (N, H, W) floats of the same levels.

    Fluorochromes that bind to satellites, and denaturation before them, light up the centromeres of one laboratory's
    chromosomes and not those of another's, whatever their class.

    Args:
        canvas: (N, H, W) uint8 in ``LEVELS``.
        centromere: (N,) rows of the canvas; those of NaN are not known, and left as they are.
        random: where chance comes from.
    """
    n = len(canvas)

    def uniform() -> Tensor:
        return torch.rand((n, 1, 1), generator=random)

    chosen = (uniform() < _STAINED_CENTROMERES) & ~centromere.isnan()[:, None, None]
    place = torch.nan_to_num(centromere)[:, None, None] + torch.randn((n, 1, 1), generator=random)
    rows = (torch.arange(canvas.shape[1]) + 0.5)[None, :, None]
    spot = torch.exp(-0.5 * ((rows - place) / (2 + 2.5 * uniform())) ** 2)
    contrast = torch.where(chosen, 1 - (1 - _PALEST) * uniform(), 1.0)
    amount = torch.where(chosen, _STRONGEST * uniform(), 0.0)
    seen = canvas.float() / LEVELS
    inside = (seen > 0.2).float()
    stained = inside + contrast * (seen - inside) + amount * spot * seen.clamp(max=1)
    return torch.clamp(LEVELS * stained, 0, 255)


def _blurred(seen: Tensor) -> Tensor:
    weights = torch.exp(-0.5 * (torch.arange(-3.0, 4.0) / 1.3) ** 2)
    weights /= weights.sum()
    down = functional.conv2d(seen, weights[None, None, :, None], padding=(3, 0))
    return functional.conv2d(down, weights[None, None, None, :], padding=(0, 3))
