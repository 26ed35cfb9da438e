"""What stands above the chromosomes of a karyogram, and the words below that explain its marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from karyotyping.model import CellAnalysis
from karyotyping.rendering.karyogram.page import Anchor, Marks, Stroke, Text, Tone
from karyotyping.rendering.karyogram.text import wrapped

_TITLE, _ISCN, _FACT, _NOTE = 16, 26, 14, 12
"""Sizes of type."""
_FACTS_WIDTH = 230
_MOST_TITLE_LINES = 2
_TOP, _LOWEST = 44, 90


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the page from edge to edge, and where it ends."""

    marks: Marks
    bottom: int


def heading(cell: CellAnalysis, title: str, unsure: int, edges: tuple[int, int]) -> Block:
    """Title and karyotype on the left; count, quality and what is to be checked on the right.

    Args:
        cell: what the karyogram shows.
        title: name of the image or of the case; one of more than two lines is cut off.
        unsure: how many chromosomes have an unsure class.
        edges: x of the left and of the right end.
    """
    left, right = edges
    room = right - left - _FACTS_WIDTH - 24
    titles = wrapped(title, _TITLE, room)
    if len(titles) > _MOST_TITLE_LINES:
        titles[_MOST_TITLE_LINES - 1 :] = [titles[_MOST_TITLE_LINES - 1][:-3] + "..."]
    titled, y = _column(titles, (left, _TOP), _TITLE, "pale")
    called, y = _column(wrapped(cell.iscn, _ISCN, room), (left, y + 12), _ISCN, "ink")
    facts = [f"{len(cell.chromosomes)} chromosomes", f"quality {cell.quality.score:.2f}"]
    flaws = ", ".join(sorted(flag.replace("_", " ") for flag in cell.quality.flags))
    beside: list[Text] = []
    facts_y = _TOP
    columns: list[tuple[list[str], Tone]] = [
        (facts, "pale"),
        ([f"{unsure} to check"] if unsure else [], "doubt"),
        (wrapped(flaws, _FACT, _FACTS_WIDTH), "odd"),
    ]
    for lines, tone in columns:
        words, facts_y = _column(lines, (right, facts_y), _FACT, tone, "end")
        beside += words
    end = max(y - _ISCN + 14, facts_y - _FACT + 8, _LOWEST)
    return Block(Marks((*titled, *called, *beside), (Stroke(((left, end), (right, end))),)), end + 26)


def foot(notes: Sequence[str], edges: tuple[int, int], top: int) -> Block:
    """The ``notes`` on what stands on the page, between ``edges`` and below ``top``."""
    left, right = edges
    words, y = _column(wrapped(" · ".join(notes), _NOTE, right - left), (left, top + 22), _NOTE, "pale")
    return Block(Marks(words, (Stroke(((left, top), (right, top))),)), y + 8)


def _column(
    lines: Sequence[str], place: tuple[int, int], size: int, tone: Tone, anchor: Anchor = "start"
) -> tuple[tuple[Text, ...], int]:
    """``lines`` one below the other, the first on baseline ``place``; and the baseline after the last."""
    x, y = place
    leading = round(1.35 * size)
    words = tuple(Text(line, x, y + leading * number, size, tone, anchor) for number, line in enumerate(lines))
    return words, y + leading * len(lines)
