"""Segmenter: from the stain of a metaphase image to maps that give each mask.

The network combines conditional convolutions (CondInst, Tian et al. 2020, DOI 10.1007/978-3-030-58452-8_17) with a
small residual U-Net. The features at a chromosome's midpoint give the kernel that combines shared prototypes into its
mask, so masks may overlap and no boxes are needed. Midpoints are predicted in lanes, one for each range of axis
directions. Two chromosomes that cross at their midpoints share the pixel but not the lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (32, 64, 96, 128)  # channels at 1/2, 1/4, 1/8 and 1/16 of the resolution
DILATIONS = (2, 3)
"""Dilations of the last blocks at 1/16: the field of view of a midpoint covers the ends of the longest chromosome."""
_RARE_LOGIT = -4.0
"""Initial bias of the logits of rare pixels (focal loss, Lin et al. 2017, section 3.3, DOI 10.1109/ICCV.2017.324)."""


def _convolution(before: int, after: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, dilation, dilation, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(inplace=True),
    )


class Block(nn.Module):
    """Residual block of two convolutions with the average-pooled shortcut of ResNet-D.

    A dilated block starts as the identity (Goyal et al. 2017, section 5.1, arXiv:1706.02677), so that it can be added
    to a trained network.

    Sources: He et al. 2016, DOI 10.1109/CVPR.2016.90; He et al. 2019, section 4.2, DOI 10.1109/CVPR.2019.00065.
    """

    def __init__(self, before: int, after: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = _convolution(before, after, stride, dilation)
        last = nn.BatchNorm2d(after)
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, dilation, dilation, bias=False), last)
        if dilation > 1:
            nn.init.zeros_(last.weight)
        self.shortcut = nn.Sequential()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride, stride), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``features`` (B, before, H, W) to (B, after, H / stride, W / stride)."""
        return functional.relu(self.second(self.first(features)) + self.shortcut(features))


class Segmenter(nn.Module):
    """Network that predicts midpoints, mask kernels, prototypes and dense pixel classes.

    Args:
        lanes: number of axis-direction ranges of midpoints.
        prototypes: number of prototype maps that a mask combines.
        hidden: units of the hidden layer of a mask kernel.
        dense: number of dense pixel classes.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the resolution.
    """

    def __init__(self, lanes: int, prototypes: int, hidden: int, dense: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.lanes, self.hidden = lanes, hidden
        self.parameters_per_mask = hidden * (prototypes + 2) + hidden + hidden + 1
        half, quarter, eighth, sixteenth = widths
        self.to_half = nn.Sequential(
            nn.Conv2d(1, half, 5, 2, 2, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            _convolution(half, half),
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
        self.joined = nn.ModuleList(_convolution(narrow, narrow) for _, narrow in pairs)
        self.maps = _convolution(half, half)
        self.centre = nn.Conv2d(half, lanes, 1)
        self.prototypes = nn.Conv2d(half, prototypes, 1)
        self.dense = nn.Conv2d(half, dense, 1)
        self.conditions = _convolution(quarter, quarter)
        self.kernel = nn.Conv2d(quarter, lanes * self.parameters_per_mask, 1)
        self.quality = nn.Conv2d(quarter, lanes, 1)
        self._begin(prototypes)

    def _begin(self, prototypes: int) -> None:
        """Initialise rare classes with a low probability and all mask kernels alike."""
        nn.init.normal_(self.kernel.weight, std=0.01)
        first = self.hidden * (prototypes + 2)
        centre: Any = self.centre.bias
        dense: Any = self.dense.bias
        kernel: Any = self.kernel.bias
        with torch.no_grad():
            centre.fill_(_RARE_LOGIT)
            dense.fill_(_RARE_LOGIT)
            start = torch.zeros(self.parameters_per_mask)
            start[:first].normal_(std=(prototypes + 2) ** -0.5)
            start[first + self.hidden : -1].normal_(std=self.hidden**-0.5)
            kernel.copy_(start.repeat(self.lanes))

    def forward(self, stain: Tensor) -> dict[str, Tensor]:
        """Return the maps of ``stain`` (B, 1, H, W); H and W are multiples of 16.

        Returns:
            At 1/2 of the resolution: ``centre`` (B, lanes, H / 2, W / 2) and ``dense`` (B, D, H / 2, W / 2), logits,
            and ``prototypes`` (B, C, H / 2, W / 2). At 1/4: ``conditions``, the features of kernels and qualities.
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
        """Return kernels (N, P) and logits of the masks' IoU (N,) at N places."""
        features = conditions[image, :, row, column]
        kernels = functional.linear(features, self.kernel.weight[:, :, 0, 0], self.kernel.bias)
        quality = functional.linear(features, self.quality.weight[:, :, 0, 0], self.quality.bias)
        every = torch.arange(len(lane))
        return kernels.view(-1, self.lanes, self.parameters_per_mask)[every, lane], quality[every, lane]


def draw_masks(kernel: Tensor, prototypes: Tensor, hidden: int) -> Tensor:
    """Return the logits (N, M) of N masks, each over the M pixels of its window.

    Args:
        kernel: (N, P) weights and biases of the hidden layer, then of the output layer.
        prototypes: (N, C, M) prototypes in the window, with relative coordinates among the C channels.
        hidden: units of the hidden layer.
    """
    first = hidden * prototypes.shape[1]
    weights, biases, last, bias = torch.split(kernel, [first, hidden, hidden, 1], dim=1)
    inner = torch.baddbmm(biases[:, :, None], weights.reshape(-1, hidden, prototypes.shape[1]), prototypes).relu()
    return torch.baddbmm(bias[:, :, None], last[:, None, :], inner)[:, 0]


class Maps(nn.Module):
    """The segmenter as exported: the kernel of every place, and probabilities instead of logits."""

    NAMES = ("centre", "kernel", "quality", "prototypes", "dense")

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, stain: Tensor) -> tuple[Tensor, ...]:
        """Return the maps ``NAMES`` of ``stain`` (B, 1, H, W).

        ``kernel`` (B, lanes * P, H / 4, W / 4), lane by lane, holds the mask kernels of midpoints at each place.
        ``quality`` (B, lanes, H / 4, W / 4) is the expected IoU of their masks, 0..1.
        """
        maps = self.segmenter(stain)
        kernel = self.segmenter.kernel(maps["conditions"])
        quality = self.segmenter.quality(maps["conditions"]).sigmoid()
        return maps["centre"].sigmoid(), kernel, quality, maps["prototypes"], maps["dense"].sigmoid()
