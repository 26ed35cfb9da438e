"""The segmenter: a metaphase's stain becomes maps from which each chromosome's mask can be drawn, crossing or not.

Conditional convolutions (CondInst, Tian et al. 2020) on a small residual U-Net: what lies at a chromosome's midpoint
says how its mask is made of shared prototypes, so that masks may overlap and a bent chromosome is no box. Midpoints are
sought in lanes, one for each range of directions that the axis may have there: two chromosomes that cross in their
middles share the pixel, not the lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 96, 128)
"""Channels at a half, a quarter, an eighth and a sixteenth of the resolution."""
DILATIONS = (2, 3)
"""Of the last blocks at a sixteenth: a midpoint is told of both ends of the longest chromosome."""
_RARE = -4.0
"""Bias of the logits of what few pixels are: the first steps need not learn that there is little of it (Lin 2017)."""


def _convolved(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, with the average-pooled shortcut of ResNet-D).

    A dilated one begins as its shortcut alone (Goyal et al. 2017, section 5.1): a trained network may be given more.
    """

    def __init__(self, before: int, after: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolved(before, after, stride, dilation)
        last = nn.BatchNorm2d(after)
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, dilation, dilation, bias=False), last)
        if dilation > 1:
            nn.init.zeros_(last.weight)
        self.shortcut = nn.Sequential()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, stride), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, seen: Tensor) -> Tensor:
        """(B, after, H / stride, W / stride)."""
        return functional.relu(self.second(self.first(seen)) + self.shortcut(seen))


class Segmenter(nn.Module):
    """Maps of midpoints, of how masks are drawn, and of what every pixel is.

    Args:
        lanes: ranges of directions in which midpoints are sought.
        prototypes: maps that masks are made of.
        hidden: units of the hidden layer that makes them.
        dense: maps of what every pixel is.
        widths: channels at a half, a quarter, an eighth and a sixteenth of the resolution.
    """

    def __init__(self, lanes: int, prototypes: int, hidden: int, dense: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.lanes, self.hidden = lanes, hidden
        self.parameters_per_mask = hidden * (prototypes + 2) + hidden + hidden + 1
        half, quarter, eighth, sixteenth = widths
        self.to_half = nn.Sequential(
            nn.Conv2d(1, half, 5, 2, 2, bias=False), nn.BatchNorm2d(half), nn.ReLU(inplace=True), _convolved(half, half)
        )
        self.to_quarter = nn.Sequential(Block(half, quarter, 2), Block(quarter, quarter))
        self.to_eighth = nn.Sequential(Block(quarter, eighth, 2), Block(eighth, eighth))
        self.to_sixteenth = nn.Sequential(
            Block(eighth, sixteenth, 2),
            Block(sixteenth, sixteenth),
            *(Block(sixteenth, sixteenth, dilation=dilation) for dilation in DILATIONS),
        )
        pairs = ((sixteenth, eighth), (eighth, quarter), (quarter, half))
        self.narrowed = nn.ModuleList(nn.Conv2d(wide, narrow, 1) for wide, narrow in pairs)
        self.joined = nn.ModuleList(_convolved(narrow, narrow) for _, narrow in pairs)
        self.maps = _convolved(half, half)
        self.centre = nn.Conv2d(half, lanes, 1)
        self.prototypes = nn.Conv2d(half, prototypes, 1)
        self.dense = nn.Conv2d(half, dense, 1)
        self.conditions = _convolved(quarter, quarter)
        self.kernel = nn.Conv2d(quarter, lanes * self.parameters_per_mask, 1)
        self.quality = nn.Conv2d(quarter, lanes, 1)
        self._begin(prototypes)

    def _begin(self, prototypes: int) -> None:
        """Rare things begin improbable; every mask begins as the same random layers, and learns what is its own."""
        nn.init.normal_(self.kernel.weight, std=0.01)
        first = self.hidden * (prototypes + 2)
        centre: Any = self.centre.bias
        dense: Any = self.dense.bias
        kernel: Any = self.kernel.bias
        with torch.no_grad():
            centre.fill_(_RARE)
            dense.fill_(_RARE)
            start = torch.zeros(self.parameters_per_mask)
            start[:first].normal_(std=(prototypes + 2) ** -0.5)
            start[first + self.hidden : -1].normal_(std=self.hidden**-0.5)
            kernel.copy_(start.repeat(self.lanes))

    def forward(self, stain: Tensor) -> dict[str, Tensor]:
        """Maps of ``stain`` (B, 1, H, W), H and W multiples of 16.

        At half the resolution ``centre`` (B, lanes, h, w) and ``dense`` (B, D, h, w), logits, and ``prototypes``
        (B, C, h, w); at a quarter ``conditions``, which ``kernel`` and ``quality`` are told from.
        """
        half = self.to_half(stain)
        quarter = self.to_quarter(half)
        eighth = self.to_eighth(quarter)
        above = self.to_sixteenth(eighth)
        levels = []
        for skipped, narrowed, joined in zip((eighth, quarter, half), self.narrowed, self.joined, strict=True):
            above = joined(functional.interpolate(narrowed(above), scale_factor=2.0, mode="nearest") + skipped)
            levels.append(above)
        maps = self.maps(levels[2])
        return {
            "centre": self.centre(maps),
            "prototypes": self.prototypes(maps),
            "dense": self.dense(maps),
            "conditions": self.conditions(levels[1]),
        }

    def kernels_at(
        self, conditions: Tensor, image: Tensor, lane: Tensor, row: Tensor, column: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Kernels (N, P) and logits of their masks' IoU (N,) at N places alone: training needs no others."""
        seen = conditions[image, :, row, column]
        kernels = functional.linear(seen, self.kernel.weight[:, :, 0, 0], self.kernel.bias)
        quality = functional.linear(seen, self.quality.weight[:, :, 0, 0], self.quality.bias)
        every = torch.arange(len(lane))
        return kernels.view(-1, self.lanes, self.parameters_per_mask)[every, lane], quality[every, lane]


def draw_masks(kernel: Tensor, prototypes: Tensor, hidden: int) -> Tensor:
    """Logits (N, M) of N masks over the M pixels of a window each.

    Args:
        kernel: (N, P) parameters: weights and biases of the hidden layer, then of the last.
        prototypes: (N, C, M) of the window, relative coordinates among them.
        hidden: units of the hidden layer.
    """
    first = hidden * prototypes.shape[1]
    weights, biases, last, bias = torch.split(kernel, [first, hidden, hidden, 1], dim=1)
    inner = torch.baddbmm(biases[:, :, None], weights.reshape(-1, hidden, prototypes.shape[1]), prototypes).relu()
    return torch.baddbmm(bias[:, :, None], last[:, None, :], inner)[:, 0]


class Maps(nn.Module):
    """The segmenter as it is exported: every kernel, and probabilities instead of logits."""

    NAMES = ("centre", "kernel", "quality", "prototypes", "dense")

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, stain: Tensor) -> tuple[Tensor, ...]:
        """The maps called ``NAMES``.

        ``kernel`` (B, lanes * P, h / 2, w / 2), lane by lane, is how the masks of midpoints that lie there are drawn;
        ``quality`` (B, lanes, h / 2, w / 2) is the IoU that they are expected to reach.
        """
        maps = self.segmenter(stain)
        kernel = self.segmenter.kernel(maps["conditions"])
        quality = self.segmenter.quality(maps["conditions"]).sigmoid()
        return maps["centre"].sigmoid(), kernel, quality, maps["prototypes"], maps["dense"].sigmoid()
