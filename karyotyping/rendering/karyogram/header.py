"""Header and footer of a karyogram page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from karyotyping.model import CellAnalysis
from karyotyping.nomenclature.iscn import NOT_CALLED
from karyotyping.rendering.karyogram.page import Anchor, Marks, Stroke, Text, Tone
from karyotyping.rendering.karyogram.text import wrap

_TITLE_SIZE, _ISCN_SIZE, _FACT_SIZE, _NOTE_SIZE = 16, 26, 14, 12  # px, font sizes
_FACTS_WIDTH = 230  # px, column on the right
_MAX_TITLE_LINES = 2
_TOP, _MIN_BOTTOM = 44, 90  # px, first baseline and rule of the header


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the page over its full width."""

    marks: Marks
    bottom: int
    """y where the next part begins."""


def header(cell: CellAnalysis, title: str, to_check: int, edges: tuple[int, int]) -> Block:
    """Return title and karyotype on the left, and count, quality and flags on the right.

    Args:
        cell: the analysis.
        title: name of the image or of the case; a third line is truncated.
        to_check: chromosomes with an uncertain class.
        edges: x of the left and the right edge.
    """
    left, right = edges
    width = right - left - _FACTS_WIDTH - 24
    titles = wrap(title, _TITLE_SIZE, width)
    if len(titles) > _MAX_TITLE_LINES:
        titles[_MAX_TITLE_LINES - 1 :] = [titles[_MAX_TITLE_LINES - 1][:-3] + "..."]
    title_texts, y = _column(titles, (left, _TOP), _TITLE_SIZE, "secondary")
    iscn_texts, y = _column(wrap(cell.iscn or NOT_CALLED, _ISCN_SIZE, width), (left, y + 12), _ISCN_SIZE, "primary")
    facts = [f"{len(cell.chromosomes)} chromosomes", f"quality {cell.quality.score:.2f}"]
    if cell.quality.band_level is not None:
        interval = f"{cell.quality.band_level_low} to {cell.quality.band_level_high}"
        facts.append(f"band level {cell.quality.band_level} ({interval})")
    flags = ", ".join(sorted(flag.replace("_", " ") for flag in cell.quality.flags))
    fact_texts: list[Text] = []
    facts_y = _TOP
    columns: list[tuple[list[str], Tone]] = [
        (facts, "secondary"),
        ([f"{to_check} to check"] if to_check else [], "uncertain"),
        (wrap(flags, _FACT_SIZE, _FACTS_WIDTH), "abnormal"),
    ]
    for lines, tone in columns:
        texts, facts_y = _column(lines, (right, facts_y), _FACT_SIZE, tone, "end")
        fact_texts += texts
    end = max(y - _ISCN_SIZE + 14, facts_y - _FACT_SIZE + 8, _MIN_BOTTOM)
    return Block(Marks((*title_texts, *iscn_texts, *fact_texts), (Stroke(((left, end), (right, end))),)), end + 26)


def footer(notes: Sequence[str], edges: tuple[int, int], top: int) -> Block:
    """Return the legend ``notes`` between ``edges`` and below ``top``."""
    left, right = edges
    lines = wrap(" · ".join(notes), _NOTE_SIZE, right - left)
    texts, y = _column(lines, (left, top + 22), _NOTE_SIZE, "secondary")
    return Block(Marks(texts, (Stroke(((left, top), (right, top))),)), y + 8)


def _column(
    lines: Sequence[str], origin: tuple[int, int], size: int, tone: Tone, anchor: Anchor = "start"
) -> tuple[tuple[Text, ...], int]:
    """Return texts of ``lines``, the first at baseline ``origin``, and the next baseline."""
    x, y = origin
    leading = round(1.35 * size)
    texts = tuple(Text(line, x, y + leading * number, size, tone, anchor) for number, line in enumerate(lines))
    return texts, y + leading * len(lines)
