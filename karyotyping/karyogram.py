"""The karyogram of a cell: its chromosomes in the order, the groups and the posture that cytogeneticists read.

Groups A to G in four rows, homologs side by side with the p arm up and the centromeres on one line, what fits no class
in a row of its own. The small figure under a chromosome is its class score in percent; a class with an unusual number
of copies has its name in red.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from karyotyping.cell import CellAnalysis, Chromosome, X, Y, class_name
from karyotyping.ideogram import centromere_index

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Row = tuple[tuple[str, tuple[int, ...]], ...]

ROWS: tuple[Row, ...] = (
    (("A", (1, 2, 3)), ("B", (4, 5))),
    (("C", (6, 7, 8, 9, 10, 11, 12)),),
    (("D", (13, 14, 15)), ("E", (16, 17, 18))),
    (("F", (19, 20)), ("G", (21, 22)), ("", (X, Y))),
)
"""ISCN groups by row; the sex chromosomes, of groups C and G, stand last as is the custom."""

_WIDTH = 1200
_MARGIN = 36
_HEAD, _FOOT = 110, 72
_LONGEST, _LARGEST_SCALE = 170, 4.0
_GAP, _NARROWEST = 10, 60
_INK, _PALE, _RULE, _ODD = (32, 36, 44), (150, 155, 165), (190, 194, 202), (190, 30, 45)
_NORMAL_COPIES = 2
_BELIEVABLE = 0.12
"""A measured centromere further than this from where its class has it was mismeasured, and is not used to align."""


@dataclass(frozen=True, slots=True)
class _Upright:
    """A chromosome ready to be set: its picture, and how far down the centromere is."""

    picture: Image.Image
    centromere: int
    chromosome: Chromosome


def draw_karyogram(cell: CellAnalysis, title: str = "") -> NDArray[np.uint8]:
    """The karyogram of ``cell`` on a white page, (H, W, 3) RGB; ``title`` stands above it."""
    longest = max((item.straightened.shape[0] for item in cell.chromosomes), default=1)
    scale = min(_LONGEST / longest, _LARGEST_SCALE)
    by_class: dict[int | None, list[_Upright]] = {}
    for item in sorted(cell.chromosomes, key=lambda item: -item.class_score):
        by_class.setdefault(item.class_id, []).append(_upright(item, scale))
    unknown = _wrapped(by_class.get(None, []))
    heights = [_height([one for _, ids in row for n in ids for one in by_class.get(n, [])]) for row in ROWS]
    heights += [_height(items) for items in unknown]

    page = _Page(_HEAD + sum(above + below + _FOOT for above, below in heights))
    page.head(title, cell)
    top = _HEAD
    for index, (above, below) in enumerate(heights):
        line, floor = top + above, top + above + below
        if index < len(ROWS):
            page.groups(ROWS[index], by_class, line, floor)
        else:
            page.unknown(unknown[index - len(ROWS)], line, floor)
        top = floor + _FOOT
    return np.array(page.image)


class _Page:
    """A white page to set chromosomes on. ``line`` is the height of the centromeres, ``floor`` that of the feet."""

    def __init__(self, height: int) -> None:
        self.image = Image.new("RGB", (_WIDTH, height), "white")
        self._pen = ImageDraw.Draw(self.image)

    def head(self, title: str, cell: CellAnalysis) -> None:
        """Title and karyotype, count and quality."""
        self._pen.text((_MARGIN, 26), title, font=_font(18), fill=_PALE)
        self._pen.text((_MARGIN, 50), cell.iscn, font=_font(28), fill=_INK)
        facts = f"{len(cell.chromosomes)} chromosomes\nquality {cell.quality.score:.2f}"
        self._pen.text((_WIDTH - _MARGIN, 30), facts, font=_font(16), fill=_PALE, anchor="ra", align="right")

    def groups(self, row: Row, by_class: Mapping[int | None, Sequence[_Upright]], line: int, floor: int) -> None:
        """One row of groups; a class is as wide as what stands in it, and groups lie half a space further apart."""
        needs = {n: max(_breadth(by_class.get(n, [])), _NARROWEST) for _, ids in row for n in ids}
        free = _WIDTH - 2 * _MARGIN - sum(needs.values())
        space = max(8.0, free / (len(needs) + 0.5 * (len(row) - 1)))
        x = float(_MARGIN)
        for group, ids in row:
            start = x
            for n in ids:
                centre, half = round(x + (needs[n] + space) / 2), needs[n] // 2
                items = by_class.get(n, [])
                self._side_by_side(items, centre, line, floor)
                self._pen.line([(centre - half, floor + 20), (centre + half, floor + 20)], fill=_RULE)
                ink = _INK if n in (X, Y) or len(items) == _NORMAL_COPIES else _ODD
                self._pen.text((centre, floor + 24), class_name(n), font=_font(18), fill=ink, anchor="ma")
                x += needs[n] + space
            self._pen.text(((start + x) / 2, floor + 46), group, font=_font(14), fill=_PALE, anchor="ma")
            x += space / 2

    def unknown(self, items: Sequence[_Upright], line: int, floor: int) -> None:
        """A row of chromosomes that fit no class."""
        self._side_by_side(items, _MARGIN + _breadth(items) // 2, line, floor)
        self._pen.text((_MARGIN, floor + 20), "no class", font=_font(16), fill=_ODD)

    def _side_by_side(self, items: Sequence[_Upright], centre: int, line: int, floor: int) -> None:
        x = centre - _breadth(items) // 2 + _GAP // 2
        for item in items:
            self.image.paste(item.picture, (x, line - item.centromere))
            if item.chromosome.class_id is not None:
                place = (x + item.picture.width / 2, floor + 5)
                self._pen.text(
                    place, f"{100 * item.chromosome.class_score:.0f}", font=_font(11), fill=_PALE, anchor="ma"
                )
            x += item.picture.width + _GAP


def _upright(chromosome: Chromosome, scale: float) -> _Upright:
    """The chromosome with its p arm up, as far as that is known."""
    pixels = chromosome.straightened
    if chromosome.orientation == "p_down":
        pixels = pixels[::-1, ::-1]
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    picture = Image.fromarray(np.ascontiguousarray(pixels)).resize(size, Image.Resampling.LANCZOS)
    expected = centromere_index(chromosome.class_id) if chromosome.class_id is not None else 0.5
    measured = chromosome.centromere_index
    believable = measured is not None and abs(measured - expected) < _BELIEVABLE
    share = measured if measured is not None and believable else expected
    return _Upright(picture, round(share * size[1]), chromosome)


def _height(items: Sequence[_Upright]) -> tuple[int, int]:
    """Pixels above and below the centromere line."""
    above = max((item.centromere for item in items), default=20)
    below = max((item.picture.height - item.centromere for item in items), default=20)
    return above, below


def _breadth(items: Sequence[_Upright]) -> int:
    return sum(item.picture.width + _GAP for item in items)


def _wrapped(items: Sequence[_Upright]) -> list[list[_Upright]]:
    rows: list[list[_Upright]] = []
    for item in items:
        if not rows or _breadth([*rows[-1], item]) > _WIDTH - 2 * _MARGIN:
            rows.append([])
        rows[-1].append(item)
    return rows


def _font(size: int) -> Font:
    return ImageFont.load_default(size)
