"""What the embedding network sees of a chromosome, and what it says.

The network sees every chromosome straightened, on a canvas of fixed size. Scale and width are those of the cell: one
that is condensed twice as much or photographed by another lens looks the same. Depth of stain and contrast are half
those of the cell, half those of the chromosome, as fluorescent ones of a cell may differ fivefold in brightness. Every
chromosome is shown both ways up, and what the network says of both is averaged; then its size is weighed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from scipy.special import log_softmax, logsumexp
from scipy.stats import trim_mean

from karyotyping.arrays import Floats32
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.prediction import P_DOWN, P_UP, Prediction
from karyotyping.classification.size_prior import apply_size_prior
from karyotyping.nomenclature.classes import CLASS_NAMES
from models.engine import Engine

EMBEDDER = "embedder"
"""Name of the weights."""
CLASSES, WAYS = len(CLASS_NAMES), 2

ROWS, COLUMNS = 112, 24
MEAN_LENGTH, TYPICAL_WIDTH = 52.0, 14.0
"""Rows that the mean chromosome of a cell is long, columns that its median one is wide."""
_TRIMMED = 0.1
_MIDDLE, _SPREAD = 1.0, 0.5
"""Mean and standard deviation of the stain within chromosomes, as the network sees it; outside is 0."""
_BESIDE, _FARTHEST = 0.3, 2.0
"""Share that is shown of how far a chromosome's mean stain lies from that of its cell, and the most that counts, in the
cell's standard deviations."""
_FLATTEST = 0.33
"""Least contrast of a chromosome, as a share of that of its cell: what is flatter has no bands to show."""
_FAINTEST, _STRONGEST = 0.05, 2.5
_LEAST_CONTRAST = 0.02
_BATCH = 256


@dataclass(frozen=True, slots=True)
class CellScale:
    """What is usual in a cell."""

    length: float
    """Mean length of its chromosomes, pixels, the longest and the shortest tenth left out."""
    width: float
    """Median width, pixels."""
    stain: float
    """Median over chromosomes of the mean stain."""
    contrast: float
    """Median over chromosomes of the standard deviation of the stain."""


def classify(measured: Sequence[Measurement], embedder: Engine) -> tuple[Prediction, ...]:
    """Classify the chromosomes of one cell by the network, each for itself; their cell gives the scale."""
    return classify_batch([measured], embedder)[0]


def classify_batch(cells: Sequence[Sequence[Measurement]], embedder: Engine) -> list[tuple[Prediction, ...]]:
    """Classify the chromosomes of several cells, which share the batches of the network."""
    seen = [_appearances(cell) for cell in cells]
    said = iter(predict(np.concatenate(seen), embedder))
    return [apply_size_prior(list(islice(said, len(cell))), [item.size for item in cell]) for cell in cells]


def _appearances(cell: Sequence[Measurement]) -> Floats32:
    if not cell:
        return np.zeros((0, ROWS, COLUMNS), np.float32)
    scale = cell_scale(cell)
    return np.stack([appearance(item, scale) for item in cell])


def predict(seen: Floats32, embedder: Engine) -> tuple[Prediction, ...]:
    """What the network says of chromosomes as it sees them, (N, ROWS, COLUMNS)."""
    if not len(seen):
        return ()
    upper, vectors = _infer(seen, embedder)
    lower, turned = _infer(seen[:, ::-1], embedder)
    swapped = lower.copy()
    swapped[:, : CLASSES * WAYS] = (
        lower[:, : CLASSES * WAYS].reshape(-1, CLASSES, WAYS)[..., ::-1].reshape(len(seen), -1)
    )
    scores = log_softmax((upper + swapped).astype(np.float64) / 2, axis=1)
    known = scores[:, : CLASSES * WAYS].reshape(-1, CLASSES, WAYS)
    unknown = np.exp(logsumexp(scores[:, CLASSES * WAYS :], axis=1))
    joint = known - logsumexp(known, axis=(1, 2), keepdims=True)
    stands = logsumexp(joint[..., P_UP], axis=1) >= logsumexp(joint[..., P_DOWN], axis=1)
    upright = np.where(stands[:, None], vectors, turned)
    return tuple(
        Prediction(ways, float(doubt), vector) for ways, doubt, vector in zip(joint, unknown, upright, strict=True)
    )


def _infer(seen: Floats32, embedder: Engine) -> tuple[Floats32, Floats32]:
    """(N, prototypes) scores and (N, D) unit vectors."""
    parts = [
        embedder.infer({"appearance": np.ascontiguousarray(seen[i : i + _BATCH, None], np.float32)})
        for i in range(0, len(seen), _BATCH)
    ]
    return np.concatenate([part["scores"] for part in parts]), np.concatenate([part["embedding"] for part in parts])


def cell_scale(measured: Sequence[Measurement]) -> CellScale:
    """The scale of a cell, from all its chromosomes or as many as there are.

    Raises:
        ValueError: there are none.
    """
    if not measured:
        raise ValueError("a cell without chromosomes has no scale")
    means, spreads = zip(*(_stained(item) for item in measured), strict=True)
    return CellScale(
        length=float(trim_mean([item.length for item in measured], _TRIMMED)),
        width=float(np.median([item.width for item in measured])),
        stain=float(np.median(means)),
        contrast=max(float(np.median(spreads)), _LEAST_CONTRAST),
    )


def appearance(measured: Measurement, scale: CellScale, shape: tuple[int, int] = (ROWS, COLUMNS)) -> Floats32:
    """The canvas (ROWS, COLUMNS) on which the network sees a chromosome; ``shape`` for another margin."""
    mean, spread = _stained(measured)
    beside = np.clip((mean - scale.stain) / scale.contrast, -_FARTHEST, _FARTHEST)
    contrast = np.sqrt(scale.contrast * max(spread, _FLATTEST * scale.contrast))
    relative = (measured.stain - mean) / contrast + _BESIDE * beside
    seen = np.clip(_MIDDLE + _SPREAD * relative, _FAINTEST, _STRONGEST) * (measured.straightened < 255)
    down, across = MEAN_LENGTH / scale.length, TYPICAL_WIDTH / scale.width
    blur = [0.45 * max(1 / factor - 1, 0) for factor in (across, down)]
    if max(blur) > 0.1:
        seen = cv2.GaussianBlur(seen, (0, 0), sigmaX=max(blur[0], 0.01), sigmaY=max(blur[1], 0.01))
    rows, columns = shape
    height, width = seen.shape
    # Pixel centres lie at half-integers of the extent that is scaled about the middle.
    place = np.array(
        (
            (across, 0, (columns - across * width) / 2 + (across - 1) / 2),
            (0, down, (rows - down * height) / 2 + (down - 1) / 2),
        )
    )
    canvas: Floats32 = np.asarray(cv2.warpAffine(seen.astype(np.float32), place, (columns, rows)), np.float32)
    return canvas


def _stained(measured: Measurement) -> tuple[float, float]:
    """Mean and standard deviation of a chromosome's stain."""
    body = measured.stain[measured.straightened < 255]
    return (float(body.mean()), float(body.std())) if body.size else (1.0, 0.25)
