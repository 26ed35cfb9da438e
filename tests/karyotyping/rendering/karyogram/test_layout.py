"""Every element has its position on the karyogram page, for any cell."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pytest

from karyotyping.model import Atypical, Chromosome
from karyotyping.nomenclature.classes import X, Y
from karyotyping.nomenclature.ideogram import centromere_index
from karyotyping.rendering.karyogram.layout import ROWS, compose
from karyotyping.rendering.karyogram.page import ClassSlot, Page

if TYPE_CHECKING:
    from conftest import MakeCell, MakeChromosome


def slot(page: Page, class_id: int) -> ClassSlot:
    return next(slot for slot in page.slots if slot.class_id == class_id)


def label(page: Page, class_id: int) -> tuple[str, str]:
    (text,) = slot(page, class_id).marks.texts
    return text.text, text.tone


def page_text(page: Page) -> str:
    """Return the texts of header and footer."""
    return " ".join(text.text for text in page.marks.texts)


def test_every_class_is_in_its_group() -> None:
    assert [n for row in ROWS for _, ids in row for n in ids] == list(range(1, 25))
    assert "".join(group for row in ROWS for group, _ in row) == "ABCDEFG"


def test_the_centromeres_of_a_row_are_on_one_line(chromosome: MakeChromosome, cell: MakeCell) -> None:
    rng = np.random.default_rng(1)
    cut = {n: centromere_index(n) + 0.05 * (-1) ** n for n in range(1, 25)}
    page = compose(
        cell([chromosome(n, size=(int(rng.integers(30, 90)), 12), centromere_index=cut[n]) for n in cut]), ""
    )
    for row in ROWS:
        heights = [item.box[1] + cut[n] * item.box[3] for _, ids in row for n in ids for item in slot(page, n).placed]
        assert np.ptp(heights) <= 1


@pytest.mark.parametrize(("start", "stop"), [(0.0, 0.1), (0.5, 0.75), (0.97, 1.0)])
def test_a_bar_is_next_to_the_atypical_bands(
    chromosome: MakeChromosome, cell: MakeCell, start: float, stop: float
) -> None:
    found = Atypical(0.001, start, stop)
    pair = [
        chromosome(1, size=(90, 12), atypical=found, flags=flags)
        for flags in (frozenset({"atypical_banding"}), frozenset())
    ]
    page = compose(cell(pair), "")
    flagged, unflagged = slot(page, 1).placed
    x, y, width, height = flagged.box
    bars = [line.points for line in flagged.marks.strokes]
    assert len(bars) == 2
    for (left, top), (right, bottom) in bars:
        assert left == right > x + width
        assert (top + bottom) / 2 == pytest.approx(y + (start + stop) / 2 * height)
        assert bottom - top == pytest.approx(max((stop - start) * height, 6))
    assert not unflagged.marks.strokes
    assert "d: differs from its homolog or class" in page_text(page)


def test_an_implausible_centromere_is_not_used_for_alignment(chromosome: MakeChromosome, cell: MakeCell) -> None:
    page = compose(cell([chromosome(3, centromere_index=index) for index in (None, 0.1)]), "")
    first, second = slot(page, 3).placed
    assert first.box[1] == second.box[1]


@pytest.mark.parametrize(("copies", "unidentified"), [(1, 0), (2, 1), (3, 11), (4, 70)])
@pytest.mark.parametrize("size", [(40, 12), (3, 1), (900, 40), (30, 90)])
def test_elements_do_not_overlap_and_are_within_the_page(
    chromosome: MakeChromosome, cell: MakeCell, copies: int, size: tuple[int, int], unidentified: int
) -> None:
    known = [chromosome(n, size=size if n == 8 else (40, 12)) for n in range(1, 25) for _ in range(copies)]
    page = compose(cell([*known, *[chromosome(None, size=size)] * unidentified]), "slide 1")
    boxes = [item.box for slot in page.slots for item in slot.placed]
    assert len(boxes) == 24 * copies + unidentified
    assert all(x >= 0 and y >= 0 and x + w <= page.width and y + h <= page.height for x, y, w, h in boxes)
    in_rows = sorted(boxes)
    for (x0, y0, w0, h0), (x1, y1, w1, h1) in combinations(in_rows, 2):
        assert x0 + w0 <= x1 or x1 + w1 <= x0 or y0 + h0 <= y1 or y1 + h1 <= y0
    marks = [page.marks, *(slot.marks for slot in page.slots)]
    assert all(0 < text.y < page.height for some in marks for text in some.texts)


def test_an_outlier_does_not_change_the_scale(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    normal, with_outlier = (compose(cell([*pairs, *more]), "") for more in ([], [chromosome(None, size=(70, 12))]))
    assert slot(normal, 1).placed[0].box[3] == slot(with_outlier, 1).placed[0].box[3]
    assert max(item.box[3] for slot in with_outlier.slots for item in slot.placed) > 1.5 * 40


def test_a_normal_cell_has_no_coloured_marks(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    for sex in ([X, X], [X, Y]):
        page = compose(cell([*pairs[:-2], *map(chromosome, sex)]), "")
        marks = [page.marks, *(slot.marks for slot in page.slots)]
        assert not [
            mark for some in marks for mark in (*some.texts, *some.strokes) if mark.tone in ("abnormal", "uncertain")
        ]


@pytest.mark.parametrize(
    ("sex", "abnormal"),
    [
        ([X], {X: "X x 1"}),
        ([X, X, Y], {X: "X x 2"}),
        ([X, Y, Y], {Y: "Y x 2"}),
        ([X, X, X], {X: "X x 3"}),
        ([], {X: "X x 0"}),
    ],
)
def test_abnormal_sex_chromosome_counts_are_red(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell, sex: list[int], abnormal: dict[int, str]
) -> None:
    page = compose(cell([*pairs[:-2], *map(chromosome, sex)]), "")
    red = {n: label(page, n)[0] for n in range(1, 25) if label(page, n)[1] == "abnormal"}
    assert red == abnormal


def test_gains_and_losses_are_counted_and_losses_are_outlined(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    page = compose(cell([*pairs[1:], chromosome(21)]), "")
    assert (label(page, 1), label(page, 21)) == (("1 x 1", "abnormal"), ("21 x 3", "abnormal"))
    assert label(page, 2) == ("2", "primary")
    dashed = {slot.class_id: sum(stroke.dashed for stroke in slot.marks.strokes) for slot in page.slots}
    assert {n: count for n, count in dashed.items() if count} == {1: 1}
    assert "dashed: missing" in page_text(page)


def test_normal_copies_follow_the_ploidy_of_the_cell(chromosome: MakeChromosome, cell: MakeCell) -> None:
    triploid = [chromosome(n) for n in range(1, 23) for _ in range(3)] + [chromosome(n) for n in (X, X, Y)]
    page = compose(cell(triploid[1:]), "")
    assert [n for n in range(1, 25) if label(page, n)[1] == "abnormal"] == [1]


def test_uncertain_classes_are_framed_and_counted(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    page = compose(cell([*pairs[:-1], chromosome(X, class_score=0.5)]), "")
    framed = [item.chromosome.class_score for slot in page.slots for item in slot.placed if item.marks.strokes]
    assert framed == [0.5]
    assert "1 to check" in page_text(page)


def test_flags_are_letters_below_the_chromosome_and_in_the_legend(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    flagged = chromosome(5, orientation="unknown", flags=frozenset({"bent", "overlapped"}), class_score=0.999)
    page = compose(cell([flagged, *pairs]), "")
    (text,) = ([text.text for text in item.marks.texts] for item in slot(page, 5).placed if item.chromosome.flags)
    assert text == ["99", "bo p?"]
    assert "o: overlapped" in page_text(page)
    assert "p?: which arm is up" in page_text(page)
    assert "touching" not in page_text(page)


def test_chromosomes_without_a_class_have_rows_of_their_own(
    pairs: list[Chromosome], chromosome: MakeChromosome, cell: MakeCell
) -> None:
    sizes = [(20, 10), (60, 10), (40, 10)] * 30
    page = compose(cell([*pairs, *(chromosome(None, size=size) for size in sizes)]), "")
    rows = [slot for slot in page.slots if slot.class_id is None]
    heights = [item.box[3] for row in rows for item in row.placed]
    assert len(rows) > 1
    assert heights == sorted(heights, reverse=True)
    assert [text.text for row in rows for text in row.marks.texts] == ["Not identified x 90"] * len(rows)
    assert {item.marks.texts[0].text for row in rows for item in row.placed} == {"7?"}


def test_the_header_has_title_karyotype_count_and_quality(pairs: list[Chromosome], cell: MakeCell) -> None:
    header = page_text(compose(cell(pairs), "case 7, slide 2"))
    for text in ("case 7, slide 2", "46,XX", "46 chromosomes", "quality 0.83"):
        assert text in header


def test_an_image_that_is_no_metaphase_has_a_header_without_a_karyotype(
    pairs: list[Chromosome], cell: MakeCell
) -> None:
    page = compose(cell(pairs * 2, iscn=None), "tangle")
    assert "not called" in page_text(page)
    assert page.summary.startswith("not called, 92 chromosomes,")


@pytest.mark.parametrize("title", ["word " * 200, "x" * 3000, "a\nb\x00c", ""])
def test_long_titles_are_truncated_but_not_karyotypes(pairs: list[Chromosome], cell: MakeCell, title: str) -> None:
    iscn = "80,XY," + ",".join(f"+{n}" for n in range(1, 23)) + ",+12mar"
    page = compose(cell(pairs, iscn=iscn), title)
    assert iscn in page_text(page).replace(", ", ",")
    assert page.title == title
    assert sum(text.size == 16 for text in page.marks.texts) <= 2


def test_an_empty_cell_still_has_a_page(cell: MakeCell) -> None:
    page = compose(cell([]), "nothing")
    assert [slot.missing for slot in page.slots] == [2] * 23 + [0]
    assert page.height > 900
