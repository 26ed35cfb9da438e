"""Karyogram as an RGB image."""

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
    """Return the karyogram of ``cell`` under ``title`` as (H, W, 3) RGB on white."""
    page = compose(cell, title)
    image = Image.new("RGB", (page.width, page.height), "white")
    pen = ImageDraw.Draw(image)
    for slot in page.slots:
        for placed in slot.placed:
            x, y, *size = placed.box
            chromosome = Image.fromarray(placed.pixels).resize((size[0], size[1]), Image.Resampling.LANCZOS)
            image.paste(chromosome, (x, y))
            _draw_marks(pen, placed.marks)
        _draw_marks(pen, slot.marks)
    _draw_marks(pen, page.marks)
    return np.array(image)


def _draw_marks(pen: ImageDraw.ImageDraw, marks: Marks) -> None:
    for stroke in marks.strokes:
        for points in _dashes(stroke) if stroke.dashed else (stroke.points,):
            pen.line(points, fill=COLOURS[stroke.tone])
    for text in marks.texts:
        anchor, colour = _ANCHORS[text.anchor], COLOURS[text.tone]
        pen.text((text.x, text.y), _without_accents(text.text), font=font(text.size), fill=colour, anchor=anchor)


def _dashes(stroke: Stroke) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    for (x0, y0), (x1, y1) in pairwise(stroke.points):
        length = hypot(x1 - x0, y1 - y0)
        for start in np.arange(0, length, 2 * DASH):
            shares = start / length, min(start + DASH, length) / length
            begin, end = ((x0 + share * (x1 - x0), y0 + share * (y1 - y0)) for share in shares)
            yield begin, end


def _without_accents(text: str) -> str:
    """Return ``text`` without accents, which the typeface of the PNG lacks.

    >>> _without_accents("Präparat")
    'Praparat'
    """
    return "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
