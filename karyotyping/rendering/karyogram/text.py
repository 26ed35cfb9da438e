"""Typeface of the pages, and line breaks."""

from __future__ import annotations

import re
from functools import lru_cache

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_WIDTH_RESERVE = 1.2  # width of the fallback typefaces of an SVG viewer over that of Pillow's
_PIECE = re.compile("[^, ]*(?:, ?| |$)")


@lru_cache
def font(size: int) -> Font:
    """Return Pillow's own typeface, so that a page is the same on every machine."""
    return ImageFont.load_default(size)


def wrap(text: str, size: int, width: float) -> list[str]:
    """Return ``text`` in lines of at most ``width`` pixels, broken after commas or spaces.

    Lines end earlier than necessary, as an SVG viewer may use a wider typeface.

    >>> wrap("46,XY 47,XY", 12, 50)
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
    return _width(text, size) * _WIDTH_RESERVE <= width


@lru_cache(4096)
def _width(text: str, size: int) -> float:
    """Return the width of ``text``, pixels; pages share most texts, so it is cached."""
    return float(font(size).getlength(text))
