"""Overlay of a metaphase image: outlines coloured by class, and class names."""

from __future__ import annotations

import colorsys
import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from karyotyping.arrays import Pixels
from karyotyping.model import CellAnalysis, Chromosome, decode_mask
from karyotyping.rendering.karyogram.legend import needs_check
from karyotyping.rendering.png import eight_bit

Colour = tuple[int, int, int]

_MIN_SOLID_SCORE = 0.5  # 0..1; below it an outline is dashed
_MIN_LONG_SIDE = 1400  # px; smaller images are enlarged by an integer factor, so that labels are legible
_DASH = 6  # px
_UNKNOWN: Colour = (128, 128, 128)
_GOLDEN_RATIO = 0.618034


def draw_overlay(pixels: Pixels, cell: CellAnalysis) -> NDArray[np.uint8]:
    """Draw ``cell`` over its image.

    Outlines with a low score are dashed. Classes to be checked have a question mark.

    Args:
        pixels: (H, W) grey metaphase image.
        cell: its analysis.

    Returns:
        (k * H, k * W, 3) RGB with an integer k >= 1, larger for small images.

    Raises:
        ValueError: ``cell`` is of an image of another shape.
    """
    if pixels.shape != cell.shape:
        raise ValueError(f"the analysis is of an image of {cell.shape} pixels, this one has {pixels.shape}")
    factor = math.ceil(_MIN_LONG_SIDE / max(pixels.shape))
    enlarged = cv2.resize(eight_bit(pixels), None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
    canvas = np.asarray(cv2.cvtColor(enlarged, cv2.COLOR_GRAY2RGB), np.uint8)
    for chromosome in cell.chromosomes:
        _outline(canvas, chromosome, factor)
    page = Image.fromarray(canvas)
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(16)
    for chromosome in cell.chromosomes:
        x, y, width, _ = (factor * side for side in chromosome.box)
        label = chromosome.label + ("?" if needs_check(chromosome) else "")
        place = (min(max(x + width / 2, 12), page.width - 12), max(y - 4, 18))
        pen.text(
            place, label, font=font, fill=_colour(chromosome), anchor="ms", stroke_width=2, stroke_fill=(255, 255, 255)
        )
    return np.array(page)


def _colour(chromosome: Chromosome) -> Colour:
    """Return the colour of a class; hues a golden ratio apart separate consecutive classes."""
    if chromosome.class_id is None:
        return _UNKNOWN
    hue = chromosome.class_id * _GOLDEN_RATIO % 1.0
    red, green, blue = colorsys.hls_to_rgb(hue, 0.42, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def _outline(canvas: NDArray[np.uint8], chromosome: Chromosome, factor: int) -> None:
    x, y, width, height = chromosome.box
    mask = decode_mask(chromosome.mask)[y : y + height, x : x + width].astype(np.uint8)
    large = cv2.resize(np.pad(mask, 1), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour + np.array([(x - 1) * factor, (y - 1) * factor])
        if chromosome.score >= _MIN_SOLID_SCORE:
            cv2.polylines(canvas, [points], True, _colour(chromosome), 2, cv2.LINE_AA)
        else:
            dashes = [points[i : i + _DASH] for i in range(0, len(points), 2 * _DASH)]
            cv2.polylines(canvas, dashes, False, _colour(chromosome), 2, cv2.LINE_AA)
