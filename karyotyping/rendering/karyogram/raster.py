"""A karyogram as pixels."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from math import hypot

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from karyotyping.model import CellAnalysis
from karyotyping.rendering.karyogram.layout import compose
from karyotyping.rendering.karyogram.page import COLOURS, DASH, Marks, Stroke
from karyotyping.rendering.karyogram.text import font

_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def draw_karyogram(cell: CellAnalysis, title: str = "") -> NDArray[np.uint8]:
    """The karyogram of ``cell`` on a white page, (H, W, 3) RGB; ``title`` stands above it."""
    page = compose(cell, title)
    image = Image.new("RGB", (page.width, page.height), "white")
    pen = ImageDraw.Draw(image)
    for slot in page.slots:
        for placed in slot.placed:
            x, y, *size = placed.box
            picture = Image.fromarray(placed.pixels).resize((size[0], size[1]), Image.Resampling.LANCZOS)
            image.paste(picture, (x, y))
            _write(pen, placed.marks)
        _write(pen, slot.marks)
    _write(pen, page.marks)
    return np.array(image)


def _write(pen: ImageDraw.ImageDraw, marks: Marks) -> None:
    for stroke in marks.strokes:
        for points in _dashes(stroke) if stroke.dashed else (stroke.points,):
            pen.line(points, fill=COLOURS[stroke.tone])
    for word in marks.words:
        text = _spelt(word.text)
        pen.text((word.x, word.y), text, font=font(word.size), fill=COLOURS[word.tone], anchor=_ANCHORS[word.anchor])


def _dashes(stroke: Stroke) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    for (x0, y0), (x1, y1) in pairwise(stroke.points):
        length = hypot(x1 - x0, y1 - y0)
        for start in np.arange(0, length, 2 * DASH):
            shares = start / length, min(start + DASH, length) / length
            begin, end = ((x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares)
            yield begin, end


def _spelt(text: str) -> str:
    """``text`` without accents, which the typeface of the PNG lacks."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
