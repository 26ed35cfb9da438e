"""Overlay of a metaphase image: outlines coloured by class, and class names."""

from __future__ import annotations

import colorsys
import math
from collections import Counter

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from karyotyping.arrays import Mask, Pixels
from karyotyping.model import CellAnalysis, Chromosome, RestKind, decode_mask
from karyotyping.rendering.karyogram.legend import needs_check
from karyotyping.rendering.png import eight_bit

Colour = tuple[int, int, int]

_MIN_SOLID_SCORE = 0.5  # 0..1; below it an outline is dashed
_MIN_LONG_SIDE = 1400  # px; smaller images are enlarged by an integer factor, so that labels are legible
_DASH = 6  # px
_UNKNOWN: Colour = (128, 128, 128)
_REST_COLOURS: dict[RestKind, Colour] = {
    "uncertain": (230, 60, 0),
    "nucleus": (0, 110, 220),
    "debris": (120, 120, 120),
    "annotation": (150, 0, 160),
}
_GOLDEN_RATIO = 0.618034


def draw_overlay(pixels: Pixels, cell: CellAnalysis) -> NDArray[np.uint8]:
    """Draw ``cell`` over its image.

    Outlines with a low score are dashed. Classes to be checked have a question mark. Regions without a chromosome are
    dashed in the colour of their kind, which the legend in the upper left corner names.

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
    for rest in cell.rests:
        _draw_outline(canvas, decode_mask(rest.mask), (0, 0), factor, _REST_COLOURS[rest.kind], dashed=True)
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
    left = 12
    for kind, count in sorted(Counter(rest.kind for rest in cell.rests).items()):
        text = f"{kind}: {count}"
        pen.text((left, 8), text, font=font, fill=_REST_COLOURS[kind], stroke_width=2, stroke_fill=(255, 255, 255))
        left += round(pen.textlength(text, font=font)) + 24
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
    mask = decode_mask(chromosome.mask)[y : y + height, x : x + width]
    dashed = chromosome.score < _MIN_SOLID_SCORE
    _draw_outline(canvas, mask, (x, y), factor, _colour(chromosome), dashed=dashed)


def _draw_outline(
    canvas: NDArray[np.uint8], mask: Mask, corner: tuple[int, int], factor: int, colour: Colour, *, dashed: bool
) -> None:
    """Draw the outline of a mask (h, w) whose upper left corner is ``corner`` in the image."""
    x, y = corner
    large = cv2.resize(np.pad(mask, 1).astype(np.uint8), None, fx=factor, fy=factor, interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(large, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    for contour in contours:
        points = contour + np.array([(x - 1) * factor, (y - 1) * factor])
        lines = [points[i : i + _DASH] for i in range(0, len(points), 2 * _DASH)] if dashed else [points]
        cv2.polylines(canvas, lines, not dashed, colour, 2, cv2.LINE_AA)
