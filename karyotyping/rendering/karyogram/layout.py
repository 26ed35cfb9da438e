"""Positions of all elements of a karyogram page.

Below each chromosome is the probability of its class in percent, and below that its flags as letters, which the footer
explains. A bar next to a chromosome marks the place where its bands differ from its homolog or class. A class with an
abnormal number of copies is red and has its count. A dashed outline marks each missing chromosome. Uncertain classes
are amber.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from karyotyping.model import CellAnalysis, Chromosome
from karyotyping.nomenclature.classes import X, Y, class_name
from karyotyping.nomenclature.ideogram import centromere_index
from karyotyping.nomenclature.iscn import NOT_CALLED, usual_copies
from karyotyping.rendering.karyogram.alignment import AlignedChromosome, PageScale, align, page_scale
from karyotyping.rendering.karyogram.header import footer, header
from karyotyping.rendering.karyogram.homologs import order_homologs
from karyotyping.rendering.karyogram.legend import flag_label, legend, needs_check, score_label
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
"""ISCN groups by row; the sex chromosomes, of groups C and G, are last by convention."""

_PAGE_WIDTH, _MARGIN = 1200, 36  # px, minimum width of a page, and its margins
_GAP = 8  # px between chromosomes
_MIN_SEAT_WIDTH = 22  # px, room for the labels of a chromosome
_MIN_CLASS_WIDTH = 56  # px, room for the name of a class
_MIN_CLASS_GAP = 10.0  # px between classes
_SCORE_Y, _FLAGS_Y, _BAR_Y, _NAME_Y, _BRACKET_Y, _GROUP_Y = 16, 29, 36, 56, 68, 84  # px below the lower ends of a row
_GROUPS_HEIGHT, _UNIDENTIFIED_HEIGHT = 96, 70  # px from the lower ends of a row to its end
_ROW_GAP = 8  # px between rows
_MIN_BAR = 6  # px, bar next to a chromosome
_MIN_ARM = 12  # px, arm of an empty row


@dataclass(frozen=True, slots=True)
class _Seat:
    """Space for a chromosome, present or missing."""

    width: int
    height: int
    centromere: int  # px from the upper end
    aligned: AlignedChromosome | None = None

    @property
    def breadth(self) -> int:
        return max(self.width, _MIN_SEAT_WIDTH) + _GAP


@dataclass(frozen=True, slots=True)
class _RowLines:
    """Vertical positions of a row."""

    centromeres: int
    bottom: int  # of the lowest chromosome


@dataclass(frozen=True, slots=True)
class _Span:
    """Horizontal range of a class."""

    class_id: int
    left: float
    right: float


def compose(cell: CellAnalysis, title: str) -> Page:
    """Return the page of ``cell`` under ``title``."""
    scale = page_scale(cell.chromosomes)
    by_class: dict[int | None, list[Chromosome]] = {}
    for chromosome in cell.chromosomes:
        by_class.setdefault(chromosome.class_id, []).append(chromosome)
    unidentified = sorted(by_class.pop(None, []), key=lambda item: -item.length)
    normal = usual_copies(cell.class_counts, unidentified=len(unidentified))
    seats = {n: _class_seats(n, by_class.get(n, []), normal[n], scale) for n in normal}
    width = max(_PAGE_WIDTH, *(_required_width(row, seats) for row in ROWS))
    edges = (_MARGIN, width - _MARGIN)
    to_check = sum(needs_check(item) for item in cell.chromosomes)

    head = header(cell, title, to_check, edges)
    slots, marks, top = [], [head.marks], head.bottom
    for row in ROWS:
        lines = _row_lines(top, [seat for _, ids in row for n in ids for seat in seats[n]])
        for group, spans in _distribute(row, seats, edges):
            slots += [_class_slot(span, seats[span.class_id], normal[span.class_id], lines) for span in spans]
            marks.append(_group_marks(group, spans, lines))
        top = lines.bottom + _GROUPS_HEIGHT + _ROW_GAP
    for row_seats in _break_rows([_seat(align(item, scale)) for item in unidentified], edges):
        lines = _row_lines(top, row_seats)
        slots.append(_unidentified_slot(row_seats, len(unidentified), lines))
        top = lines.bottom + _UNIDENTIFIED_HEIGHT + _ROW_GAP
    end = footer(legend(cell.chromosomes, any(slot.missing for slot in slots)), edges, top - _ROW_GAP)
    summary = f"{cell.iscn or NOT_CALLED}, {len(cell.chromosomes)} chromosomes, {to_check} of them of an unsure class."
    return Page(width, end.bottom, title, summary, tuple(slots), merge_marks([*marks, end.marks]))


def _class_seats(class_id: int, homologs: Sequence[Chromosome], normal: int, scale: PageScale) -> list[_Seat]:
    """Return seats of the chromosomes that are present, then of those that are missing."""
    height = max(1, scale.length(class_id))
    missing = _Seat(scale.width, height, round(centromere_index(class_id) * height))
    present = [_seat(align(item, scale)) for item in order_homologs(homologs)]
    return present + [missing] * (normal - len(present))


def _seat(aligned: AlignedChromosome) -> _Seat:
    return _Seat(aligned.width, aligned.height, aligned.centromere, aligned)


def _class_width(seats: Sequence[_Seat]) -> int:
    return max(sum(seat.breadth for seat in seats), _MIN_CLASS_WIDTH)


def _space_count(row: Row) -> float:
    """Return the number of spaces in a row: one for each class, and a half more between groups."""
    return sum(len(ids) for _, ids in row) + 0.5 * (len(row) - 1)


def _required_width(row: Row, seats: Mapping[int, Sequence[_Seat]]) -> int:
    """Return the minimum page width for ``row``."""
    classes = sum(_class_width(seats[n]) for _, ids in row for n in ids)
    return round(classes + _MIN_CLASS_GAP * _space_count(row)) + 2 * _MARGIN


def _distribute(
    row: Row, seats: Mapping[int, Sequence[_Seat]], edges: tuple[int, int]
) -> Iterator[tuple[str, list[_Span]]]:
    """Yield each group of a row with the spans of its classes, distributed from edge to edge."""
    left, right = edges
    free = right - left - sum(_class_width(seats[n]) for _, ids in row for n in ids)
    space = free / _space_count(row)
    x = left + space / 2
    for group, ids in row:
        spans = []
        for n in ids:
            spans.append(_Span(n, x, x + _class_width(seats[n])))
            x += _class_width(seats[n]) + space
        yield group, spans
        x += space / 2


def _row_lines(top: int, seats: Sequence[_Seat]) -> _RowLines:
    above = max((seat.centromere for seat in seats), default=_MIN_ARM)
    below = max((seat.height - seat.centromere for seat in seats), default=_MIN_ARM)
    return _RowLines(top + above, top + above + below)


def _class_slot(span: _Span, seats: Sequence[_Seat], normal: int, lines: _RowLines) -> ClassSlot:
    """Return a class: its chromosomes, a bar below them, its name, and an abnormal count."""
    left = span.left + (_class_width(seats) - sum(seat.breadth for seat in seats)) / 2
    placed, missing_outlines = _place(seats, left, lines)
    is_normal = len(placed) == normal
    tone: Tone = ("primary" if placed else "rule") if is_normal else "abnormal"
    name = class_name(span.class_id) + ("" if is_normal else f" x {len(placed)}")
    text = Text(name, (span.left + span.right) / 2, lines.bottom + _NAME_Y, 18, tone, "middle")
    y = lines.bottom + _BAR_Y
    bar = Stroke(((span.left + _GAP / 2, y), (span.right - _GAP / 2, y)), "rule" if is_normal else "abnormal")
    return ClassSlot(span.class_id, placed, normal, Marks((text,), (bar, *missing_outlines)))


def _unidentified_slot(seats: Sequence[_Seat], total: int, lines: _RowLines) -> ClassSlot:
    """Return a row of chromosomes without a class."""
    placed, _ = _place(seats, _MARGIN, lines)
    y = lines.bottom + _BAR_Y
    bar = Stroke(((_MARGIN, y), (_MARGIN + sum(seat.breadth for seat in seats), y)), "abnormal")
    text = Text(f"Not identified x {total}", _MARGIN, lines.bottom + _NAME_Y, 18, "abnormal")
    return ClassSlot(None, placed, 0, Marks((text,), (bar,)))


def _group_marks(group: str, spans: Sequence[_Span], lines: _RowLines) -> Marks:
    """Return the letter of a group below a bracket over its classes."""
    if not group:
        return Marks()
    left, right, y = spans[0].left, spans[-1].right, lines.bottom + _BRACKET_Y
    bracket = Stroke(((left, y - 4), (left, y), (right, y), (right, y - 4)))
    text = Text(group, (left + right) / 2, lines.bottom + _GROUP_Y, 14, "secondary", "middle")
    return Marks((text,), (bracket,))


def _place(seats: Sequence[_Seat], x: float, lines: _RowLines) -> tuple[tuple[PlacedChromosome, ...], list[Stroke]]:
    """Return the chromosomes of ``seats`` from ``x`` on, and outlines of missing ones."""
    placed, missing_outlines = [], []
    for seat in seats:
        left, top = round(x + (seat.breadth - seat.width) / 2), lines.centromeres - seat.centromere
        box = (left, top, seat.width, seat.height)
        if seat.aligned is None:
            missing_outlines.append(box_stroke(box, "abnormal", dashed=True))
        else:
            placed.append(_place_chromosome(seat.aligned, box, lines.bottom))
        x += seat.breadth
    return tuple(placed), missing_outlines


def _place_chromosome(aligned: AlignedChromosome, box: tuple[int, int, int, int], bottom: int) -> PlacedChromosome:
    x, y, width, height = box
    chromosome = aligned.chromosome
    uncertain = needs_check(chromosome)
    centre = x + width / 2
    tone: Tone = "uncertain" if uncertain else "secondary"
    texts = [Text(score_label(chromosome), centre, bottom + _SCORE_Y, 11, tone, "middle")]
    if flags := flag_label(chromosome):
        flags_tone: Tone = "uncertain" if chromosome.orientation == "unknown" else "secondary"
        texts.append(Text(flags, centre, bottom + _FLAGS_Y, 11, flags_tone, "middle"))
    frame = (box_stroke((x - 3, y - 3, width + 6, height + 6), "uncertain"),) if uncertain else ()
    return PlacedChromosome(
        chromosome, aligned.pixels, box, Marks(tuple(texts), (*frame, *_atypical_bar(chromosome, box)))
    )


def _atypical_bar(chromosome: Chromosome, box: tuple[int, int, int, int]) -> tuple[Stroke, ...]:
    """Return a bar on the right of a flagged chromosome where its bands differ."""
    if chromosome.atypical is None or "atypical_banding" not in chromosome.flags:
        return ()
    x, y, width, height = box
    start, stop = (y + share * height for share in (chromosome.atypical.start, chromosome.atypical.stop))
    middle, half = (start + stop) / 2, max((stop - start) / 2, _MIN_BAR / 2)
    xs = (x + width + 5, x + width + 6)  # outside of the frame
    return tuple(Stroke(((at, middle - half), (at, middle + half)), "abnormal") for at in xs)


def _break_rows(seats: Sequence[_Seat], edges: tuple[int, int]) -> list[list[_Seat]]:
    """Return ``seats`` in as many rows as necessary."""
    rows: list[list[_Seat]] = []
    for seat in seats:
        if not rows or sum(other.breadth for other in rows[-1]) + seat.breadth > edges[1] - edges[0]:
            rows.append([])
        rows[-1].append(seat)
    return rows
