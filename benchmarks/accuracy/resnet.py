"""ResNet-50, untrained, as an ONNX file for ``benchmarks.speed.classification_speed``.

Source: He et al. 2016, "Deep residual learning for image recognition", DOI 10.1109/CVPR.2016.90.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.common.onnx_export import export_onnx

SIDE = 224  # px
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Inner channels and number of bottlenecks by stage."""
EXPANSION = 4  # outer channels per inner channel


def convolution(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return a convolution with batch normalisation."""
    return nn.Sequential(nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1 and a shortcut; the 3x3 has the stride."""

    def __init__(self, before: int, inner: int, stride: int) -> None:
        super().__init__()
        after = EXPANSION * inner
        self.first, self.second = convolution(before, inner, 1), convolution(inner, inner, 3, stride)
        self.third = convolution(inner, after, 1)
        self.shortcut = convolution(before, after, 1, stride) if (before, stride) != (after, 1) else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, 4 x inner, H / stride, W / stride) features."""
        inside = functional.relu(self.second(functional.relu(self.first(features))))
        return functional.relu(self.third(inside) + self.shortcut(features))


class ResNet50(nn.Module):
    """Logits (N, classes) from ``picture`` (N, 3, 224, 224)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
        before = 64
        for stage, (inner, count) in enumerate(STAGES):
            for number in range(count):
                layers.append(Bottleneck(before, inner, 2 if stage and not number else 1))
                before = EXPANSION * inner
        self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))

    def forward(self, picture: Tensor) -> Tensor:
        """Return (N, classes) logits."""
        logits: Tensor = self.layers(picture)
        return logits


def write(path: Path, classes: int) -> Path:
    """Export the network to ``path``, and return the path."""
    torch.manual_seed(0)
    picture = np.random.default_rng(0).random((2, 3, SIDE, SIDE), np.float32)
    return export_onnx(ResNet50(classes), path, {"picture": picture}, ["logits"])
