"""Objects without a class: merged pairs, markers of two halves, pieces, debris."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def make_negatives(appearance: Tensor, random: torch.Generator) -> Tensor:
    """Turn each chromosome into an object without a class, in one of four ways.

    Args:
        appearance: (N, 1, H, W) inputs of the network.
        random: source of randomness.

    Returns:
        (N, 1, H, W).
    """
    kinds = (merged_pair, marker, piece, debris)
    return torch.stack([kinds[k % len(kinds)](one, appearance[k - 1], random) for k, one in enumerate(appearance)])


def _between(low: float, high: float, random: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=random))


def merged_pair(one: Tensor, other: Tensor, random: torch.Generator) -> Tensor:
    """Return two chromosomes end to end or side by side; they overlap to fit the canvas."""
    height, width = one.shape[1:]
    if _between(0, 1, random) < 0.5:
        apart = round(_between(0.15, 0.3, random) * height)
        return torch.maximum(_moved(one, -apart, 0), _moved(other, apart, 0))
    apart = round(_between(0.15, 0.3, random) * width)
    return torch.maximum(_moved(one, round(_between(-8, 8, random)), -apart), _moved(other, 0, apart))


def marker(one: Tensor, other: Tensor, random: torch.Generator) -> Tensor:
    """Return the upper half of one chromosome above the lower half of another."""
    cut = one.shape[1] // 2 + round(_between(-3, 3, random))
    return torch.cat([one[:, :cut], other[:, cut:]], dim=1)


def piece(one: Tensor, _: Tensor, random: torch.Generator) -> Tensor:
    """Return about a half of a chromosome, centred."""
    rows = torch.nonzero(one[0].amax(dim=1) > 0.1)[:, 0]
    if not len(rows):
        return one
    first, last = int(rows[0]), int(rows[-1]) + 1
    cut = first + round(_between(0.4, 0.6, random) * (last - first))
    kept = one.clone()
    kept[:, cut:] = 0
    return _moved(kept, (one.shape[1] - first - cut) // 2, 0)


def debris(one: Tensor, _: Tensor, random: torch.Generator) -> Tensor:
    """Return an ellipse of any size and stain, cloudy and without bands."""
    height, width = one.shape[1:]
    y = (torch.arange(height) - height / 2)[:, None] / (_between(0.06, 0.4, random) * height)
    x = (torch.arange(width) - width / 2)[None, :] / (_between(0.2, 0.5, random) * width)
    coarse = torch.rand((1, 1, 2 + height // 14, 2 + width // 8), generator=random)
    clouds = functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)[0]
    return (y**2 + x**2 < 1) * torch.clamp(_between(0.3, 1.8, random) + 0.8 * (clouds - 0.5), 0.05, 2.5)


def _moved(image: Tensor, down: int, right: int) -> Tensor:
    """Return an image (1, H, W) shifted by rows and columns, with zeros from beyond its edges."""
    height, width = image.shape[1:]
    d, r = abs(down), abs(right)
    padded = functional.pad(image, (r, r, d, d))
    return padded[:, d - down : d - down + height, r - right : r - right + width]
