"""Classification by the embedding network: canvas, both orientations, size evidence.

The canvas shows a straightened chromosome with a fixed mean length and typical width of its cell, so that condensation
and magnification do not matter. Mean stain and contrast are halfway between those of the chromosome and those of its
cell, as the brightness of fluorescent chromosomes of one cell differs up to fivefold. The scores of both orientations
are averaged, then combined with the evidence of size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from scipy.special import log_softmax, logsumexp

from karyotyping.arrays import Floats32
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.prediction import P_DOWN, P_UP, Prediction
from karyotyping.classification.size_prior import CellSizes, apply_size_prior, apply_sizes
from karyotyping.nomenclature.classes import CLASS_COUNT
from models.engine import Engine

EMBEDDER = "embedder"
"""Name of the weights."""
ORIENTATION_COUNT = 2  # of a class's prototypes: p arm up, p arm down
_KNOWN = CLASS_COUNT * ORIENTATION_COUNT  # scores of classes; the scores after them are those of no chromosome

ROWS, COLUMNS = 112, 24  # px, canvas
MEAN_LENGTH = 52.0  # rows, mean chromosome length of a cell
TYPICAL_WIDTH = 14.0  # columns, median chromosome width of a cell
_TRIMMED_SHARE = 0.1  # of the longest and of the shortest chromosomes, left out of the mean length
_CANVAS_MEAN = 1.0  # stain within chromosomes; 0 outside
_CANVAS_DEVIATION = 0.5  # standard deviation of the stain within chromosomes
_CELL_OFFSET_SHARE = 0.3  # of the chromosome's deviation from the cell's mean stain that is kept
_MAX_CELL_OFFSET = 2.0  # standard deviations of the cell
_MIN_CONTRAST_RATIO = 0.33  # contrast of a chromosome over that of its cell; limits amplification of bandless ones
_MIN_CELL_CONTRAST = 0.02  # stain
_MIN_CANVAS_STAIN, _MAX_CANVAS_STAIN = 0.05, 2.5
_BATCH = 256  # canvases of one inference


@dataclass(frozen=True, slots=True)
class CellScale:
    """Typical size and stain of the chromosomes of a cell."""

    length: float
    """Mean length without the longest and the shortest tenth, pixels."""
    width: float
    """Median width, pixels."""
    stain: float
    """Median over chromosomes of their mean stain."""
    contrast: float
    """Median over chromosomes of the standard deviation of their stain."""


def classify(measured: Sequence[Measurement], embedder: Engine) -> tuple[Prediction, ...]:
    """Predict class and orientation of each chromosome of one cell, which gives the scale."""
    return classify_batch([measured], embedder)[0]


def classify_batch(cells: Sequence[Sequence[Measurement]], embedder: Engine) -> list[tuple[Prediction, ...]]:
    """Predict the chromosomes of several cells in common batches of the network."""
    canvases = [_cell_canvases(cell) for cell in cells]
    predictions = iter(predict(np.concatenate(canvases), embedder))
    return [apply_size_prior(list(islice(predictions, len(cell))), [item.size for item in cell]) for cell in cells]


def classify_in_cell(
    measured: Sequence[Measurement],
    cell: Sequence[Measurement],
    predictions: Sequence[Prediction],
    embedder: Engine,
) -> tuple[Prediction, ...]:
    """Predict regions that may be chromosomes of a cell, at the scale of its chromosomes.

    Args:
        measured: (N,) the regions.
        cell: (M,) the chromosomes of the cell, at least one.
        predictions: (M,) predictions for them.
        embedder: the network.
    """
    if not measured:
        return ()
    scale = cell_scale(cell)
    found = predict(np.stack([appearance(item, scale) for item in measured]), embedder)
    classes = np.stack([item.log_probabilities for item in predictions])
    sizes = CellSizes.of(classes, np.array([item.size for item in cell]))
    return apply_sizes(found, [item.size for item in measured], sizes)


def _cell_canvases(cell: Sequence[Measurement]) -> Floats32:
    if not cell:
        return np.zeros((0, ROWS, COLUMNS), np.float32)
    scale = cell_scale(cell)
    return np.stack([appearance(item, scale) for item in cell])


def predict(canvases: Floats32, embedder: Engine) -> tuple[Prediction, ...]:
    """Predict class and orientation, without size evidence.

    Args:
        canvases: (N, ROWS, COLUMNS) from ``appearance``.
        embedder: the network.
    """
    if not len(canvases):
        return ()
    scores_as_is, vectors_as_is = _infer(canvases, embedder)
    scores_flipped, vectors_flipped = _infer(canvases[:, ::-1], embedder)
    scores = log_softmax((scores_as_is + _swap_orientations(scores_flipped)).astype(np.float64) / 2, axis=1)
    known = scores[:, :_KNOWN].reshape(-1, CLASS_COUNT, ORIENTATION_COUNT)
    unknown = np.exp(logsumexp(scores[:, _KNOWN:], axis=1))
    joint = known - logsumexp(known, axis=(1, 2), keepdims=True)
    is_p_up = logsumexp(joint[..., P_UP], axis=1) >= logsumexp(joint[..., P_DOWN], axis=1)
    embeddings = np.where(is_p_up[:, None], vectors_as_is, vectors_flipped)
    return tuple(Prediction(item, float(p), vector) for item, p, vector in zip(joint, unknown, embeddings, strict=True))


def _swap_orientations(scores: Floats32) -> Floats32:
    """Return ``scores`` (N, prototypes) with the orientations of each class exchanged."""
    swapped = scores.copy()
    by_orientation = scores[:, :_KNOWN].reshape(-1, CLASS_COUNT, ORIENTATION_COUNT)
    swapped[:, :_KNOWN] = by_orientation[..., ::-1].reshape(len(scores), -1)
    return swapped


def _infer(canvases: Floats32, embedder: Engine) -> tuple[Floats32, Floats32]:
    """Return scores (N, prototypes) and unit vectors (N, D)."""
    parts = [
        embedder.infer({"appearance": np.ascontiguousarray(canvases[i : i + _BATCH, None], np.float32)})
        for i in range(0, len(canvases), _BATCH)
    ]
    return np.concatenate([part["scores"] for part in parts]), np.concatenate([part["embedding"] for part in parts])


def cell_scale(measured: Sequence[Measurement]) -> CellScale:
    """Return the scale of a cell from all or some of its chromosomes.

    Raises:
        ValueError: ``measured`` is empty.
    """
    if not measured:
        raise ValueError("a cell without chromosomes has no scale")
    means, deviations = zip(*(_stain_statistics(item) for item in measured), strict=True)
    return CellScale(
        length=_trimmed_mean([item.length for item in measured]),
        width=float(np.median([item.width for item in measured])),
        stain=float(np.median(means)),
        contrast=max(float(np.median(deviations)), _MIN_CELL_CONTRAST),
    )


def _trimmed_mean(values: Sequence[float]) -> float:
    """Return ``scipy.stats.trim_mean``, whose import takes as long as that of all else here."""
    cut = int(_TRIMMED_SHARE * len(values))
    return float(np.mean(np.sort(values)[cut : len(values) - cut]))


def appearance(measured: Measurement, scale: CellScale, shape: tuple[int, int] = (ROWS, COLUMNS)) -> Floats32:
    """Return the canvas of a chromosome, the network's input.

    Args:
        measured: the chromosome.
        scale: scale of its cell.
        shape: rows and columns of the canvas; a larger one has a wider margin.

    Returns:
        ``shape`` stain, 0 outside of the chromosome.
    """
    mean, deviation = _stain_statistics(measured)
    offset = np.clip((mean - scale.stain) / scale.contrast, -_MAX_CELL_OFFSET, _MAX_CELL_OFFSET)
    contrast = np.sqrt(scale.contrast * max(deviation, _MIN_CONTRAST_RATIO * scale.contrast))
    relative = (measured.stain - mean) / contrast + _CELL_OFFSET_SHARE * offset
    stain = np.clip(_CANVAS_MEAN + _CANVAS_DEVIATION * relative, _MIN_CANVAS_STAIN, _MAX_CANVAS_STAIN)
    stain = stain * measured.inside
    down, across = MEAN_LENGTH / scale.length, TYPICAL_WIDTH / scale.width
    blur = [0.45 * max(1 / factor - 1, 0) for factor in (across, down)]
    if max(blur) > 0.1:
        stain = cv2.GaussianBlur(stain, (0, 0), sigmaX=max(blur[0], 0.01), sigmaY=max(blur[1], 0.01))
    rows, columns = shape
    height, width = stain.shape
    # Pixel centres are at half-integers of the extent that is scaled about the middle.
    transform = np.array(
        (
            (across, 0, (columns - across * width) / 2 + (across - 1) / 2),
            (0, down, (rows - down * height) / 2 + (down - 1) / 2),
        )
    )
    canvas: Floats32 = np.asarray(cv2.warpAffine(stain.astype(np.float32), transform, (columns, rows)), np.float32)
    return canvas


def _stain_statistics(measured: Measurement) -> tuple[float, float]:
    """Return the mean and the standard deviation of a chromosome's stain."""
    body = measured.stain[measured.inside]
    return (float(body.mean()), float(body.std())) if body.size else (1.0, 0.25)
