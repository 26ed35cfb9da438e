"""Embedding network: from a straightened chromosome to a unit vector near its prototype.

The design follows KaryoXpert, section 3.4 and Fig. 4. A convolutional vector and a banding vector, the grey profile
along the medial axis, are concatenated and mapped to 128 dimensions. The result is standardised over the batch (Eq. 1)
and compared with the prototypes by cosine similarity (Eq. 2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

DIMENSIONS = 128  # of an embedding
_INSIDE_SLOPE = 10.0  # a pixel with a stain of 1 / slope or more counts as inside the chromosome in the banding vector

Channels = tuple[tuple[int, tuple[int, int]], ...]

BODY: Channels = ((32, (2, 2)), (48, (2, 1)), (96, (2, 2)), (128, (2, 1)))
"""Channels and strides (rows, columns) of the residual blocks; the length is halved more often than the width."""


class Block(nn.Module):
    """Residual block of two convolutions with the average-pooled shortcut of ResNet-D.

    Sources: He et al. 2016, DOI 10.1109/CVPR.2016.90; He et al. 2019, section 4.2, DOI 10.1109/CVPR.2019.00065.
    """

    def __init__(self, before: int, after: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride, stride), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map ``features`` (N, before, H, W) to (N, after, H / stride, W / stride)."""
        return functional.relu(self.second(self.first(features)) + self.shortcut(features))


class Embedder(nn.Module):
    """Network that maps straightened chromosomes to unit vectors and polarity.

    Args:
        rows: rows of the canvas, the chromosome's length.
        stem: channels of the first convolution.
        body: channels and strides of the residual blocks.
        hidden: units of the hidden layer.
    """

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
        """Return unit vectors (N, 128) and p-arm-up logits (N,) of ``appearance`` (N, 1, R, C)."""
        convolved = self.body(self.stem(appearance)).mean(dim=3).flatten(1)
        inside = torch.clamp(appearance * _INSIDE_SLOPE, 0, 1).sum(dim=3)
        banding = (appearance.sum(dim=3) / torch.clamp(inside, min=1)).flatten(1)
        joined = torch.cat([convolved, banding], dim=1)
        return functional.normalize(self.embed(joined)), self.polarity(joined)[:, 0]


class Prototypes(nn.Module):
    """Learned unit vectors of the classes p arm up, the classes p arm down, and no chromosome."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(count, DIMENSIONS))

    def forward(self, embedding: Tensor) -> Tensor:
        """Return cosine similarities (N, count) of ``embedding`` (N, 128)."""
        return embedding @ functional.normalize(self.directions).T


class Scores(nn.Module):
    """The network as exported: unit vectors and calibrated scores of the prototypes.

    Args:
        trained: [Embedder, Prototypes].
        scale: factor from cosine similarity to score.
    """

    def __init__(self, trained: nn.ModuleList, scale: float) -> None:
        super().__init__()
        self.trained, self.scale = trained, scale

    def forward(self, appearance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return embedding (N, 128), scores (N, prototypes) and polarity (N,)."""
        embedder, prototypes = self.trained
        embedding, polarity = embedder(appearance)
        return embedding, self.scale * prototypes(embedding), polarity
