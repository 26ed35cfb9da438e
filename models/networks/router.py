"""Router: a small convolutional network over a region's stain, mask and geometry."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Router(nn.Module):
    """Network that maps a region to the logits of its routes.

    It uses only operators that TensorRT's ONNX parser supports: convolutions, batch normalisation, ReLU, max and
    average pooling, linear layers.

    Args:
        geometry: number of geometric features of a region.
        routes: number of classes.
        channels: channels of the convolutions.
    """

    def __init__(self, geometry: int, routes: int, channels: tuple[int, ...] = (16, 32, 64, 80)) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, channels[0], 5, stride=2, padding=2, bias=False)]
        for before, after in pairwise(channels):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, after, 3, padding=1, bias=False)]
            layers += [nn.MaxPool2d(2)]
        layers += [nn.BatchNorm2d(channels[-1]), nn.ReLU()]
        self.backbone = nn.Sequential(*layers, nn.AvgPool2d(4), nn.Flatten())
        self.geometry = nn.Sequential(nn.BatchNorm1d(geometry), nn.Linear(geometry, 32), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(channels[-1] + 32, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, routes))

    def forward(self, appearance: Tensor, geometry: Tensor) -> Tensor:
        """Return logits (N, routes) for ``appearance`` (N, 2, 64, 64) and ``geometry`` (N, G)."""
        joined = torch.cat([self.backbone(appearance), self.geometry(geometry)], dim=1)
        logits: Tensor = self.head(joined)
        return logits


class Probabilities(nn.Module):
    """The router as exported: probabilities instead of logits."""

    def __init__(self, router: Router) -> None:
        super().__init__()
        self.router = router

    def forward(self, appearance: Tensor, geometry: Tensor) -> Tensor:
        """Return probabilities (N, routes); each row sums to 1."""
        return torch.softmax(self.router(appearance, geometry), dim=1)
