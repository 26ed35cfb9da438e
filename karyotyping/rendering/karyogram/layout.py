"""Where everything stands on the page of a karyogram.

Under each chromosome stands the probability of its class in percent, and under that what was noted about it, in
letters that the foot of the page explains. A class with an unusual number of copies is red and says how many there are;
a dashed outline keeps the place of each that is missing. What is unsure is amber.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from karyotyping.model import CellAnalysis, Chromosome
from karyotyping.nomenclature.classes import X, Y, class_name
from karyotyping.nomenclature.ideogram import centromere_index
from karyotyping.nomenclature.iscn import usual_copies
from karyotyping.rendering.karyogram.alignment import Scale, Upright, scale_of, upright
from karyotyping.rendering.karyogram.header import foot, heading
from karyotyping.rendering.karyogram.homologs import order_homologs
from karyotyping.rendering.karyogram.legend import explained, figure, is_unsure, notes
from karyotyping.rendering.karyogram.page import (
    ClassSlot,
    Marks,
    Page,
    PlacedChromosome,
    Stroke,
    Text,
    Tone,
    box_stroke,
    merge_marks,
)

Row = tuple[tuple[str, tuple[int, ...]], ...]

ROWS: tuple[Row, ...] = (
    (("A", (1, 2, 3)), ("B", (4, 5))),
    (("C", (6, 7, 8, 9, 10, 11, 12)),),
    (("D", (13, 14, 15)), ("E", (16, 17, 18))),
    (("F", (19, 20)), ("G", (21, 22)), ("", (X, Y))),
)
"""ISCN groups by row; the sex chromosomes, of groups C and G, stand last as is the custom."""

_WIDTH, _MARGIN = 1200, 36
_GAP, _NARROWEST_SEAT, _NARROWEST_SLOT, _APART = 8, 22, 56, 10.0
_FIGURE, _NOTES, _BAR, _NAME, _BRACKET, _GROUP = 16, 29, 36, 56, 68, 84
"""Heights below the feet of a row."""
_UNDER_GROUPS, _UNDER_STRANGERS, _APART_ROWS = 96, 70, 8
"""Where a row ends below its feet, and what lies between two."""
_SHORTEST_ARM = 12


@dataclass(frozen=True, slots=True)
class _Seat:
    """Room for a chromosome, present or missing."""

    width: int
    height: int
    above: int
    upright: Upright | None = None

    @property
    def breadth(self) -> int:
        return max(self.width, _NARROWEST_SEAT) + _GAP


@dataclass(frozen=True, slots=True)
class _Line:
    """Where a row stands: the height of its centromeres, and of its feet."""

    centromeres: int
    feet: int


@dataclass(frozen=True, slots=True)
class _Span:
    """A class's part of a row."""

    class_id: int
    left: float
    right: float


def compose(cell: CellAnalysis, title: str) -> Page:
    """The page of ``cell`` under ``title``."""
    scale = scale_of(cell.chromosomes)
    by_class: dict[int | None, list[Chromosome]] = {}
    for chromosome in cell.chromosomes:
        by_class.setdefault(chromosome.class_id, []).append(chromosome)
    strangers = sorted(by_class.pop(None, []), key=lambda item: -item.length)
    usual = usual_copies(cell.class_counts, unidentified=len(strangers))
    seats = {n: _seats(n, by_class.get(n, []), usual[n], scale) for n in usual}
    width = max(_WIDTH, *(_needed(row, seats) for row in ROWS))
    edges = (_MARGIN, width - _MARGIN)
    unsure = sum(is_unsure(item) for item in cell.chromosomes)

    head = heading(cell, title, unsure, edges)
    slots, marks, top = [], [head.marks], head.bottom
    for row in ROWS:
        line = _line(top, [seat for _, ids in row for n in ids for seat in seats[n]])
        for group, spans in _spread(row, seats, edges):
            slots += [_slot(span, seats[span.class_id], usual[span.class_id], line) for span in spans]
            marks.append(_group(group, spans, line))
        top = line.feet + _UNDER_GROUPS + _APART_ROWS
    for row_of_strangers in _rows_of([_seat(upright(item, scale)) for item in strangers], edges):
        line = _line(top, row_of_strangers)
        slots.append(_strangers(row_of_strangers, len(strangers), line))
        top = line.feet + _UNDER_STRANGERS + _APART_ROWS
    end = foot(explained(cell.chromosomes, any(slot.missing for slot in slots)), edges, top - _APART_ROWS)
    summary = f"{cell.iscn}, {len(cell.chromosomes)} chromosomes, {unsure} of them of an unsure class."
    return Page(width, end.bottom, title, summary, tuple(slots), merge_marks([*marks, end.marks]))


def _seats(class_id: int, homologs: Sequence[Chromosome], usual: int, scale: Scale) -> list[_Seat]:
    """Those that are there, and then room for those that are missing."""
    height = max(1, scale.length(class_id))
    missing = _Seat(scale.width, height, round(centromere_index(class_id) * height))
    present = [_seat(upright(item, scale)) for item in order_homologs(homologs)]
    return present + [missing] * (usual - len(present))


def _seat(item: Upright) -> _Seat:
    return _Seat(item.width, item.height, item.above, item)


def _breadth(seats: Sequence[_Seat]) -> int:
    return max(sum(seat.breadth for seat in seats), _NARROWEST_SLOT)


def _spaces(row: Row) -> float:
    """How many spaces a row has; groups lie half a space further apart than classes."""
    return sum(len(ids) for _, ids in row) + 0.5 * (len(row) - 1)


def _needed(row: Row, seats: Mapping[int, Sequence[_Seat]]) -> int:
    """Width of a page on which ``row`` has room."""
    return round(sum(_breadth(seats[n]) for _, ids in row for n in ids) + _APART * _spaces(row)) + 2 * _MARGIN


def _spread(
    row: Row, seats: Mapping[int, Sequence[_Seat]], edges: tuple[int, int]
) -> Iterator[tuple[str, list[_Span]]]:
    """The groups of a row with the spans of their classes, spread from edge to edge."""
    left, right = edges
    free = right - left - sum(_breadth(seats[n]) for _, ids in row for n in ids)
    space = free / _spaces(row)
    x = left + space / 2
    for group, ids in row:
        spans = []
        for n in ids:
            spans.append(_Span(n, x, x + _breadth(seats[n])))
            x += _breadth(seats[n]) + space
        yield group, spans
        x += space / 2


def _line(top: int, seats: Sequence[_Seat]) -> _Line:
    above = max((seat.above for seat in seats), default=_SHORTEST_ARM)
    below = max((seat.height - seat.above for seat in seats), default=_SHORTEST_ARM)
    return _Line(top + above, top + above + below)


def _slot(span: _Span, seats: Sequence[_Seat], usual: int, line: _Line) -> ClassSlot:
    """A class: its chromosomes, a bar below them, its name, and how many there are if that is unusual."""
    placed, ghosts = _seated(seats, span.left + (_breadth(seats) - sum(seat.breadth for seat in seats)) / 2, line)
    is_usual = len(placed) == usual
    tone: Tone = ("ink" if placed else "rule") if is_usual else "odd"
    name = class_name(span.class_id) + ("" if is_usual else f" x {len(placed)}")
    word = Text(name, (span.left + span.right) / 2, line.feet + _NAME, 18, tone, "middle")
    y = line.feet + _BAR
    bar = Stroke(((span.left + _GAP / 2, y), (span.right - _GAP / 2, y)), "rule" if is_usual else "odd")
    return ClassSlot(span.class_id, placed, usual, Marks((word,), (bar, *ghosts)))


def _strangers(seats: Sequence[_Seat], total: int, line: _Line) -> ClassSlot:
    """A row of chromosomes that fit no class."""
    placed, _ = _seated(seats, _MARGIN, line)
    y = line.feet + _BAR
    bar = Stroke(((_MARGIN, y), (_MARGIN + sum(seat.breadth for seat in seats), y)), "odd")
    return ClassSlot(
        None, placed, 0, Marks((Text(f"Not identified x {total}", _MARGIN, line.feet + _NAME, 18, "odd"),), (bar,))
    )


def _group(group: str, spans: Sequence[_Span], line: _Line) -> Marks:
    """The letter of a group below a bracket over its classes."""
    if not group:
        return Marks()
    left, right, y = spans[0].left, spans[-1].right, line.feet + _BRACKET
    bracket = Stroke(((left, y - 4), (left, y), (right, y), (right, y - 4)))
    return Marks((Text(group, (left + right) / 2, line.feet + _GROUP, 14, "pale", "middle"),), (bracket,))


def _seated(seats: Sequence[_Seat], x: float, line: _Line) -> tuple[tuple[PlacedChromosome, ...], list[Stroke]]:
    """The chromosomes of ``seats`` from ``x`` to the right, and outlines of those that are missing."""
    placed, ghosts = [], []
    for seat in seats:
        left, top = round(x + (seat.breadth - seat.width) / 2), line.centromeres - seat.above
        box = (left, top, seat.width, seat.height)
        if seat.upright is None:
            ghosts.append(box_stroke(box, "odd", dashed=True))
        else:
            placed.append(_placed(seat.upright, box, line.feet))
        x += seat.breadth
    return tuple(placed), ghosts


def _placed(item: Upright, box: tuple[int, int, int, int], feet: int) -> PlacedChromosome:
    x, y, width, height = box
    doubt = is_unsure(item.chromosome)
    centre = x + width / 2
    words = [Text(figure(item.chromosome), centre, feet + _FIGURE, 11, "doubt" if doubt else "pale", "middle")]
    if noted := notes(item.chromosome):
        unknown = item.chromosome.orientation == "unknown"
        words.append(Text(noted, centre, feet + _NOTES, 11, "doubt" if unknown else "pale", "middle"))
    frame = (box_stroke((x - 3, y - 3, width + 6, height + 6), "doubt"),) if doubt else ()
    return PlacedChromosome(item.chromosome, item.pixels, box, Marks(tuple(words), frame))


def _rows_of(seats: Sequence[_Seat], edges: tuple[int, int]) -> list[list[_Seat]]:
    """``seats`` in as many rows as they need."""
    rows: list[list[_Seat]] = []
    for seat in seats:
        if not rows or sum(other.breadth for other in rows[-1]) + seat.breadth > edges[1] - edges[0]:
            rows.append([])
        rows[-1].append(seat)
    return rows
