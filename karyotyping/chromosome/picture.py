"""Pictures of the chromosomes of a cell: cut from its image and straightened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32
from karyotyping.chromosome.measure import Measurement
from karyotyping.chromosome.medial_axis import normals

_LONGEST = 256  # px of the picture, longest chromosome of a cell
_MAX_SCALE = 6.0  # px of the picture for one of the image
_SMOOTHING = 0.12  # widths; standard deviation that removes the steps of pixels and rows from an outline
_RIM = 1.5  # px of the picture over which an outline fades into the page
_CLIPPED = 0.3  # percent of a chromosome's pixels beyond its palest, and beyond its darkest grey level
_PALEST = 228.0  # grey level of the palest stain, 0..255; it differs from the white page
_MIN_SPAN = 1.02  # range of stain from palest to black, over a chromosome's own; a saturated area is not quite black
_MAX_SPAN = 1.6  # the same, maximum


def draw_cell(stains: Sequence[Floats32], measured: Sequence[Measurement]) -> list[NDArray[np.uint8]]:
    """Draw the chromosomes of a cell, straightened, at a common scale.

    The palest stain of a chromosome is light grey. Black is as far from it as in the median chromosome of the cell.
    That range is limited by the chromosome's own one: a brighter chromosome is not clipped, the bands of a pale one are
    visible.

    Args:
        stains: (N,) images (h, w) of any unit and offset, higher where stain is; ``measured`` has their coordinates.
        measured: (N,) the chromosomes.

    Returns:
        (N,) pictures (h, w), grey, stain dark on white 255, medial axis vertical.
    """
    scale = min(_MAX_SCALE, _LONGEST / max((item.length for item in measured), default=_LONGEST))
    straight = [_straighten(stain, item, scale) for stain, item in zip(stains, measured, strict=True)]
    ranges = [np.percentile(stain[coverage > 0.5], (_CLIPPED, 100 - _CLIPPED)) for stain, coverage in straight]
    spans = [max(float(high - low), 1e-6) for low, high in ranges]
    typical = float(np.median(spans)) if spans else 0.0
    return [
        _draw(stain, coverage, float(low), min(max(typical, _MIN_SPAN * span), _MAX_SPAN * span))
        for (stain, coverage), (low, _), span in zip(straight, ranges, spans, strict=True)
    ]


def draw_straightened(measured: Sequence[Measurement]) -> list[NDArray[np.uint8]]:
    """Draw the chromosomes of a cell of which only the straightened stain is left.

    Args:
        measured: (N,) the chromosomes.

    Returns:
        (N,) pictures as of :func:`draw_cell`.
    """
    upright = []
    for item in measured:
        rows, columns = item.inside.shape
        axis = np.stack([np.full(rows + 1, (columns - 1) / 2), np.arange(rows + 1) - 0.5], axis=1)
        upright.append(replace(item, axis=axis))
    return draw_cell([np.ascontiguousarray(item.stain[:, ::-1]) for item in measured], upright)


def _straighten(stain: Floats32, item: Measurement, scale: float) -> tuple[Floats32, Floats32]:
    """Return the stain (h, w) along the medial axis, and the coverage of each pixel, 0..1."""
    columns = item.inside.shape[1]
    height, width = max(1, round(scale * item.length)), max(1, round(scale * columns))
    axis = item.axis[:, 0] + 1j * item.axis[:, 1]
    places = (np.arange(height) + 0.5) * ((len(axis) - 1) / height)
    middle, across = (np.interp(places, np.arange(len(axis)), line) for line in (axis, normals(axis)))
    # Measurements have the left side of the chromosome on the right; people see the image.
    points = middle[:, None] - across[:, None] * ((np.arange(width) + 0.5) * (columns / width) - columns / 2)
    x, y = points.real.astype(np.float32), points.imag.astype(np.float32)
    straight = cv2.remap(stain, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.resize(item.inside[:, ::-1].astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    sigma = _SMOOTHING * item.width * scale
    inside = cv2.GaussianBlur(inside, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    slope = np.sqrt(2 * np.pi) * sigma / _RIM  # the blurred outline of width sigma becomes one of the rim's width
    coverage = np.clip(0.5 + slope * (inside - 0.5), 0.0, 1.0)
    if not (coverage > 0.5).any():  # a speck that is smaller than the smoothing
        coverage = np.ones_like(coverage)
    return np.asarray(straight, np.float32), np.asarray(coverage, np.float32)


def _draw(stain: Floats32, coverage: Floats32, low: float, span: float) -> NDArray[np.uint8]:
    """Return the picture (h, w) with the palest stain at ``low`` and black ``span`` above it."""
    grey = _PALEST * (1.0 - np.clip((stain - low) / span, 0.0, 1.0))
    return np.asarray(np.round(255.0 - coverage * (255.0 - grey)), np.uint8)
