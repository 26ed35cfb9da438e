"""Images of the wrong predictions with the highest scores."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from karyotyping.arrays import Ints
from training.evaluation.charts import INK, MUTED, WRONG, new_figure
from training.evaluation.classification.data import LABELS, MISSING, NO_CLASS, ClassComparison

MAX_ERRORS = 50
_COLUMNS = 10
_TILE = (118, 190)  # px, width and height, with the caption
_HEADER, _MARGIN, _CAPTION = 90, 30, 56  # px
_MAX_SCALE = 3.0  # px of the figure per px of an image


def worst_errors(comparison: ClassComparison, count: int = MAX_ERRORS) -> Ints:
    """Return the rows of the wrong predictions with the highest scores; ``?`` is not wrong."""
    isolated = comparison.isolated
    wrong = np.flatnonzero(
        (isolated.label != comparison.true)
        & (isolated.label != MISSING)
        & (isolated.label != NO_CLASS)
        & ~np.isnan(isolated.score)
    )
    return wrong[np.argsort(-isolated.score[wrong], kind="stable")][:count]


def gallery(comparison: ClassComparison, crops: Path) -> Figure:
    """Draw the worst errors, each above its true class, its predicted class and the score.

    Args:
        comparison: true and predicted classes.
        crops: zip or folder of the images under the names in the truth.

    Raises:
        ValueError: an image is not in ``crops``.
    """
    rows = worst_errors(comparison)
    tile_width, tile_height = _TILE
    width = _COLUMNS * tile_width + 2 * _MARGIN
    height = _HEADER + tile_height * max(1, -(-len(rows) // _COLUMNS))
    figure = new_figure(width, height, constrained=False)
    figure.text(
        _MARGIN / width, 1 - 36 / height, "Wrong classes with the highest scores", fontsize=15, color=INK, va="center"
    )
    figure.text(
        _MARGIN / width, 1 - 66 / height, "true > predicted, and the score", fontsize=10, color=MUTED, va="center"
    )
    images = _read_images(comparison.file[rows].tolist(), crops)
    room = np.array([tile_width - 14, tile_height - _CAPTION])
    for place, (row, image) in enumerate(zip(rows.tolist(), images, strict=True)):
        left = _MARGIN + tile_width * (place % _COLUMNS)
        top = height - _HEADER - tile_height * (place // _COLUMNS)
        size = np.array(image.size) * min(*(room / image.size), _MAX_SCALE)
        corner = np.array([left + tile_width / 2, top - room[1] / 2]) - size / 2
        axes = figure.add_axes((*(corner / (width, height)), *(size / (width, height))))
        axes.imshow(np.asarray(image), cmap="gray", vmin=0, vmax=255, interpolation="lanczos", aspect="auto")
        axes.set_axis_off()
        label, predicted = LABELS[comparison.true[row]], LABELS[comparison.isolated.label[row]]
        middle, caption = (left + tile_width / 2) / width, top - room[1]
        figure.text(
            middle,
            (caption - 16) / height,
            f"{label} > {predicted}",
            color=WRONG,
            fontsize=10,
            ha="center",
            va="center",
        )
        figure.text(
            middle,
            (caption - 35) / height,
            f"{comparison.isolated.score[row]:.4f}",
            color=INK,
            fontsize=9,
            ha="center",
            va="center",
        )
    return figure


def _read_images(files: list[str], crops: Path) -> list[Image.Image]:
    try:
        if not zipfile.is_zipfile(crops):
            return [Image.open(crops / name).convert("L") for name in files]
        with zipfile.ZipFile(crops) as archive:
            return [Image.open(io.BytesIO(archive.read(name))).convert("L") for name in files]
    except (KeyError, OSError) as problem:
        raise ValueError(f"{crops} does not hold the images that the truth names: {problem}") from problem
