"""Elements of a karyogram page, in pixels of the PNG; x from the left, y from the top."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome

Tone = Literal["primary", "secondary", "rule", "uncertain", "abnormal"]
Anchor = Literal["start", "middle", "end"]

COLOURS: dict[Tone, str] = {
    "primary": "#20242c",
    "secondary": "#646b78",
    "rule": "#bec2ca",
    "uncertain": "#a85d00",
    "abnormal": "#be1e2d",
}
"""Colours by tone; texts of any tone but ``rule`` are legible on white."""

DASH = 4  # px, length of a dash and of a gap


@dataclass(frozen=True, slots=True)
class Text:
    """A line of text; ``y`` is its baseline, ``x`` its left end, its middle or its right end."""

    text: str
    x: float
    y: float
    size: int
    tone: Tone = "primary"
    anchor: Anchor = "start"


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line from point to point."""

    points: tuple[tuple[float, float], ...]
    tone: Tone = "rule"
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """Texts and strokes of one element."""

    texts: tuple[Text, ...] = ()
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True, slots=True)
class PlacedChromosome:
    """A chromosome at its position on the page."""

    chromosome: Chromosome
    pixels: NDArray[np.uint8]
    """(h, w) grey at the resolution of the picture, p arm up unless the orientation is unknown."""
    box: tuple[int, int, int, int]
    """x, y, width and height on the page."""
    marks: Marks


@dataclass(frozen=True, slots=True)
class ClassSlot:
    """The position of a class, or a row of chromosomes without a class (``class_id`` None)."""

    class_id: int | None
    placed: tuple[PlacedChromosome, ...]
    normal_copies: int
    marks: Marks

    @property
    def missing(self) -> int:
        """Number of missing copies."""
        return max(0, self.normal_copies - len(self.placed))


@dataclass(frozen=True, slots=True)
class Page:
    """A page with all its elements."""

    width: int
    height: int
    title: str
    summary: str
    """One sentence for screen readers."""
    slots: tuple[ClassSlot, ...]
    marks: Marks


def box_stroke(box: tuple[float, float, float, float], tone: Tone, *, dashed: bool = False) -> Stroke:
    """Return the outline of ``box``: x, y, width, height."""
    x, y, width, height = box
    right, bottom = x + width, y + height
    return Stroke(((x, y), (right, y), (right, bottom), (x, bottom), (x, y)), tone, dashed)


def merge_marks(parts: Iterable[Marks]) -> Marks:
    """Return all texts and strokes of ``parts``."""
    parts = list(parts)
    return Marks(
        tuple(text for part in parts for text in part.texts), tuple(stroke for part in parts for stroke in part.strokes)
    )
