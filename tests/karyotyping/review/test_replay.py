"""Replay of corrections over the rows of a cell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karyotyping.model import decode_mask, encode_mask
from karyotyping.nomenclature.classes import X
from karyotyping.review import RecordedReview, RefusedReview, ReviewedCell, parse_correction, replay
from karyotyping.rows import ChromosomeRow

SHAPE = (100, 500)
WIDTH, HEIGHT = 8, 60  # px of each chromosome


def row(ordinal: int) -> ChromosomeRow:
    """An upright chromosome; 46 of them make 46,XX."""
    mask = np.zeros(SHAPE, bool)
    mask[20 : 20 + HEIGHT, 10 * ordinal : 10 * ordinal + WIDTH] = True
    class_id = ordinal // 2 + 1
    return {
        "ordinal": ordinal,
        "box": [10 * ordinal, 20, WIDTH, HEIGHT],
        "mask": encode_mask(mask)["counts"],
        "class_id": class_id,
        "class_score": 0.8,
        "score": 0.9,
        "top5_classes": [class_id, 1, 2, 3, 4],
        "top5_scores": [0.8, 0.1, 0.05, 0.03, 0.02],
        "length": float(HEIGHT),
        "width": float(WIDTH),
        "centromere_index": 0.3,
        "orientation": "p_up",
        "embedding": None,
        "flags": [],
    }


ROWS = [row(ordinal) for ordinal in range(46)]


def box(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"region": {"kind": "box", "x": x, "y": y, "width": width, "height": height}}


def replayed(*reviews: tuple[str, dict[str, Any]], unexplained: int | None = None) -> ReviewedCell:
    """Replay corrections, numbered from 1."""
    recorded = [RecordedReview(number, parse_correction(*review)) for number, review in enumerate(reviews, start=1)]
    return replay(ROWS, SHAPE, recorded, unexplained_objects=unexplained)


def find(cell: ReviewedCell, number: int) -> ChromosomeRow:
    (found,) = (row for row in cell.chromosomes if row["ordinal"] == number)
    return found


def area(row: ChromosomeRow) -> int:
    return int(decode_mask({"size": list(SHAPE), "counts": row["mask"]}).sum())


def test_nothing_changes_without_corrections() -> None:
    cell = replayed(("comment", {"text": "fine"}))
    assert cell == ReviewedCell(tuple(ROWS))
    assert cell.iscn == "46,XX"


def test_a_cell_stays_incomplete_until_its_unexplained_objects_are_added() -> None:
    rejected = ("reject", {"chromosome": 40})
    added = ("add", {"part": {**box(470, 20, WIDTH, HEIGHT), "class_id": None}})
    assert replayed(rejected).iscn == "45,XX,-21"
    cell = replayed(rejected, unexplained=1)
    assert (cell.iscn, cell.summary(1, 0.9).iscn) == ("45,XX,-21,inc", "45,XX,-21,inc")
    assert replayed(rejected, added, unexplained=1).unexplained_objects == 0
    assert replayed(rejected, added, ("undo", {"review": 2}), unexplained=1).unexplained_objects == 1


def test_the_karyotype_follows_a_reclassification() -> None:
    cell = replayed(("reclassify", {"chromosome": 0, "class_id": 21}))
    assert (cell.iscn, find(cell, 0)["class_score"], cell.corrected) == ("46,XX,-1,+21", 1.0, {0})
    assert replayed(("reclassify", {"chromosome": 44, "class_id": 24})).iscn == "46,XY"
    unknown = replayed(("reclassify", {"chromosome": 0, "class_id": None}))
    assert (unknown.iscn, unknown.unidentified) == ("46,XX,-1,inc", 1)


def test_a_rejected_chromosome_is_lost() -> None:
    assert replayed(("reject", {"chromosome": 45})).iscn == "45,X"


def test_split_makes_parts_inside_the_chromosome() -> None:
    parts = [box(0, 0, 50, 50) | {"class_id": 1}, box(0, 50, 50, 50) | {"class_id": 2}]
    cell = replayed(("split", {"chromosome": 0, "parts": parts}))
    assert cell.iscn == "47,XX,+2"
    assert [row["ordinal"] for row in cell.chromosomes] == [*range(1, 46), 46, 47]
    upper, lower = find(cell, 46), find(cell, 47)
    assert (upper["box"], lower["box"]) == ([0, 20, WIDTH, 30], [0, 50, WIDTH, 30])
    assert area(upper) + area(lower) == WIDTH * HEIGHT
    assert (upper["length"], upper["width"]) == pytest.approx((30, WIDTH), rel=0.1)


def test_merge_joins_the_masks() -> None:
    cell = replayed(("merge", {"chromosomes": [0, 1], "class_id": 1}))
    assert (cell.iscn, area(find(cell, 46))) == ("45,XX,-1", 2 * WIDTH * HEIGHT)


def test_flip_turns_the_arms_and_twice_is_nothing() -> None:
    once = find(replayed(("flip", {"chromosome": 3})), 3)
    assert (once["orientation"], once["centromere_index"]) == ("p_down", pytest.approx(0.7))
    twice = find(replayed(("flip", {"chromosome": 3}), ("flip", {"chromosome": 3})), 3)
    assert (twice["orientation"], twice["centromere_index"]) == ("p_up", pytest.approx(0.3))


def test_an_added_chromosome_has_the_next_number() -> None:
    polygon = {"region": {"kind": "polygon", "points": [[470, 10], [480, 10], [480, 90], [470, 90]]}, "class_id": X}
    cell = replayed(("add", {"part": polygon}), ("add", {"part": box(485, 10, 10, 80)}))
    assert (cell.iscn, cell.boxes) == ("48,XXX,inc", {47})
    assert find(cell, 46)["box"] == [470, 10, 11, 81]


def test_a_rejected_cell_has_no_karyotype_and_no_vote() -> None:
    cell = replayed(("reject_cell", {}))
    assert (cell.rejected, cell.iscn, cell.summary(7, 0.5).votes) == (True, None, False)


def test_a_cell_without_chromosomes_has_no_karyotype() -> None:
    assert replayed(*(("reject", {"chromosome": number}) for number in range(46))).iscn is None


def test_too_many_chromosomes_are_no_cell() -> None:
    parts = [box(5 * n, 85, 4, 10) for n in range(5)]
    assert replayed(*(("add", {"part": part}) for part in parts)).iscn is None


def test_an_undone_correction_does_not_count_and_keeps_its_numbers() -> None:
    split = ("split", {"chromosome": 0, "parts": [box(0, 0, 9, 50), box(0, 50, 9, 50)]})
    add = ("add", {"part": box(485, 10, 10, 80)})
    cell = replayed(split, add, ("undo", {"review": 1}))
    assert [row["ordinal"] for row in cell.chromosomes] == [*range(46), 48]
    assert cell.in_force == (2,)
    again = replayed(split, add, ("undo", {"review": 1}), ("undo", {"review": 3}))
    assert [row["ordinal"] for row in again.chromosomes] == [*range(1, 49)]
    thrice = replayed(split, add, ("undo", {"review": 1}), ("undo", {"review": 3}), ("undo", {"review": 4}))
    assert thrice == cell


@pytest.mark.parametrize(
    ("reviews", "sentence"),
    [
        ([("reject", {"chromosome": 46})], "there is no chromosome 46 in this cell"),
        ([("reject", {"chromosome": 3}), ("flip", {"chromosome": 3})], "chromosome 3 is gone since review 1"),
        (
            [("merge", {"chromosomes": [3, 4]}), ("merge", {"chromosomes": [4, 5]})],
            "chromosome 4 is gone since review 1",
        ),
        ([("reject_cell", {}), ("flip", {"chromosome": 3})], "review 1 rejects the whole cell; undo that first"),
        ([("undo", {"review": 9})], "no review 9 of this result"),
        ([("comment", {"text": "x"}), ("undo", {"review": 1})], "review 1 is a comment"),
        (
            [("flip", {"chromosome": 3}), ("undo", {"review": 1}), ("undo", {"review": 1})],
            "review 1 is undone already",
        ),
        ([("add", {"part": box(600, 0, 9, 9)})], "fewer than 12 pixels"),
        ([("split", {"chromosome": 0, "parts": [box(0, 0, 9, 50), box(90, 0, 9, 50)]})], "fewer than 12 pixels"),
        (
            [
                ("add", {"part": box(485, 10, 10, 80)}),
                ("flip", {"chromosome": 46}),
                ("undo", {"review": 1}),
            ],
            "there is no chromosome 46",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(reviews: list[tuple[str, dict[str, Any]]], sentence: str) -> None:
    with pytest.raises(RefusedReview, match=sentence):
        replayed(*reviews)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-20, 520), st.integers(-20, 120)), min_size=3, max_size=8))
def test_any_polygon_is_drawn_or_refused(points: list[tuple[int, int]]) -> None:
    try:
        cell = replayed(("add", {"part": {"region": {"kind": "polygon", "points": points}}}))
    except RefusedReview:
        return
    drawn = find(cell, 46)
    assert drawn["length"] > 0
    x, y, width, height = drawn["box"]
    assert (x >= 0, y >= 0, x + width <= SHAPE[1], y + height <= SHAPE[0]) == (True,) * 4


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["reject", "flip", "merge"]), st.integers(0, 45)), max_size=12, unique=True))
def test_undoing_everything_from_the_last_gives_the_result_of_the_pipeline(chosen: list[tuple[str, int]]) -> None:
    reviews: list[tuple[str, dict[str, Any]]] = []
    for action, number in chosen:
        detail = {"chromosomes": [number, (number + 1) % 46]} if action == "merge" else {"chromosome": number}
        try:
            replayed(*reviews, (action, detail))
        except RefusedReview:
            continue
        reviews.append((action, detail))
    undos = [("undo", {"review": number}) for number in range(len(reviews), 0, -1)]
    assert replayed(*reviews, *undos).chromosomes == tuple(ROWS)
