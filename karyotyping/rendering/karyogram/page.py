"""What a page of a karyogram consists of. Units are pixels of the PNG; x from the left, y from the top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome

Tone = Literal["ink", "pale", "rule", "doubt", "odd"]
Anchor = Literal["start", "middle", "end"]

COLOURS: dict[Tone, str] = {
    "ink": "#20242c",
    "pale": "#646b78",
    "rule": "#bec2ca",
    "doubt": "#a85d00",
    "odd": "#be1e2d",
}
"""``doubt`` is for what is unsure, ``odd`` for what is unusual; words of any tone but ``rule`` are legible on white."""

DASH = 4
"""Length of a dash, and of the gap after it."""


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; ``y`` is its baseline, ``x`` its left end, its middle or its right end."""

    text: str
    x: float
    y: float
    size: int
    tone: Tone = "ink"
    anchor: Anchor = "start"


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line from point to point."""

    points: tuple[tuple[float, float], ...]
    tone: Tone = "rule"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """What is written and drawn in one place."""

    words: tuple[Text, ...] = ()
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedChromosome:
    """A chromosome in its place."""

    chromosome: Chromosome
    pixels: NDArray[np.uint8]
    """(h, w) grey, p arm up as far as that is known, at the resolution of the photograph."""
    box: tuple[int, int, int, int]
    """x, y, width and height on the page."""
    marks: Marks


@dataclass(frozen=True, slots=True)
class ClassSlot:
    """The place of a class, or a row of chromosomes that fit none (``class_id`` None)."""

    class_id: int | None
    placed: tuple[PlacedChromosome, ...]
    usual_copies: int
    marks: Marks

    @property
    def missing(self) -> int:
        """Copies fewer than usual."""
        return max(0, self.usual_copies - len(self.placed))


@dataclass(frozen=True, slots=True)
class Page:
    """A page and all that stands on it."""

    width: int
    height: int
    title: str
    summary: str
    """The karyogram in a sentence, for those who cannot see it."""
    slots: tuple[ClassSlot, ...]
    marks: Marks


def box_stroke(box: tuple[float, float, float, float], tone: Tone, *, dashed: bool = False) -> Stroke:
    """The outline of ``box``: x, y, width, height."""
    x, y, width, height = box
    right, bottom = x + width, y + height
    return Stroke(((x, y), (right, y), (right, bottom), (x, bottom), (x, y)), tone, dashed)


def merge_marks(parts: Iterable[Marks]) -> Marks:
    """All that is written and drawn in ``parts``."""
    parts = list(parts)
    return Marks(
        tuple(word for part in parts for word in part.words), tuple(stroke for part in parts for stroke in part.strokes)
    )
