"""The typeface of the pages, and what fits on a line of it."""

from __future__ import annotations

import re
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_WIDEST = 1.2
"""Usual typefaces over this one, in width."""
_PIECE = re.compile("[^, ]*(?:, ?| |$)")


@lru_cache
def font(size: int) -> Font:
    """The typeface that comes with Pillow, so that a page looks the same on every machine."""
    return ImageFont.load_default(size)


def wrapped(text: str, size: int, width: float) -> list[str]:
    """``text`` in lines no wider than ``width`` pixels, broken after a comma or a space if there is one.

    Some room is left at the end: whoever reads the SVG may have a wider typeface.

    >>> wrapped("46,XY 47,XY", 12, 50)
    ['46,XY', '47,XY']
    """
    lines = [""]
    for piece in _PIECE.findall(" ".join(text.split())):
        if _fits(lines[-1] + piece.rstrip(), size, width):
            lines[-1] += piece
            continue
        lines.append("")
        for letter in piece:
            lines += [] if _fits(lines[-1] + letter, size, width) else [""]
            lines[-1] += letter
    return [line.rstrip() for line in lines if line.strip()]


def _fits(text: str, size: int, width: float) -> bool:
    return _width(text, size) * _WIDEST <= width


@lru_cache(4096)
def _width(text: str, size: int) -> float:
    """Pages of one cell, and of many, say much the same."""
    return float(font(size).getlength(text))
