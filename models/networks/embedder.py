"""The embedding network: a straightened chromosome becomes a unit vector that lies near its class's prototype.

After KaryoXpert, section 3.4 and Fig. 4: a convolutional vector and a banding vector, the grey profile along the medial
axis, are joined and mapped to 128 dimensions, standardised over the batch (Eq. 1) and compared by cosine (Eq. 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

DIMENSIONS = 128
_RIM = 10.0
"""How steeply a pixel's stain makes it count as a part of the chromosome, in the banding vector."""

Channels = tuple[tuple[int, tuple[int, int]], ...]

BODY: Channels = ((32, (2, 2)), (48, (2, 1)), (96, (2, 2)), (128, (2, 1)))
"""Channels and strides of the residual blocks: the length is halved oftener than the width."""


class Block(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, with the average-pooled shortcut of ResNet-D)."""

    def __init__(self, before: int, after: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride, stride), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)
        )

    def forward(self, seen: Tensor) -> Tensor:
        """(N, after, H / stride, W / stride)."""
        return functional.relu(self.second(self.first(seen)) + self.shortcut(seen))


class Embedder(nn.Module):
    """Unit vectors and polarity of straightened chromosomes."""

    def __init__(self, rows: int, stem: int = 24, body: Channels = BODY, hidden: int = 256) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, stem, 3, (1, 2), 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True)
        )
        blocks, before, height = [], stem, rows
        for after, stride in body:
            blocks.append(Block(before, after, stride))
            before, height = after, height // stride[0]
        self.body = nn.Sequential(*blocks)
        joined = before * height + rows
        self.embed = nn.Sequential(
            nn.Linear(joined, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, DIMENSIONS, bias=False),
            nn.BatchNorm1d(DIMENSIONS, affine=False),
        )
        self.polarity = nn.Linear(joined, 1)

    def forward(self, appearance: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors (N, 128) and logits (N,) that the p arm is up, from ``appearance`` (N, 1, rows, columns)."""
        convolved = self.body(self.stem(appearance)).mean(dim=3).flatten(1)
        inside = torch.clamp(appearance * _RIM, 0, 1).sum(dim=3)
        banding = (appearance.sum(dim=3) / torch.clamp(inside, min=1)).flatten(1)
        joined = torch.cat([convolved, banding], dim=1)
        return functional.normalize(self.embed(joined)), self.polarity(joined)[:, 0]


class Prototypes(nn.Module):
    """Where the classes lie among the unit vectors: each class p arm up, each p arm down, and what is no chromosome."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(count, DIMENSIONS))

    def forward(self, embedding: Tensor) -> Tensor:
        """(N, count) cosine similarities."""
        return embedding @ functional.normalize(self.directions).T


class Scores(nn.Module):
    """The network as it is exported: unit vectors, and calibrated scores of the prototypes instead of cosines."""

    def __init__(self, trained: nn.ModuleList, scale: float) -> None:
        super().__init__()
        self.trained, self.scale = trained, scale

    def forward(self, appearance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Embedding (N, 128), scores (N, prototypes), polarity (N,), of [Embedder, Prototypes]."""
        embedder, prototypes = self.trained
        embedding, polarity = embedder(appearance)
        return embedding, self.scale * prototypes(embedding), polarity
