"""The consensus of a case follows most good cells, and recurring minorities are reported."""

from __future__ import annotations

import json

import pytest

from karyotyping.case_summary import CaseSummary, CellSummary, Clone, summarise
from karyotyping.nomenclature.iscn import parse_iscn


def cell(analysis_id: int, karyotype: str, quality: float = 0.8, unidentified: int = 0) -> CellSummary:
    counts = parse_iscn(karyotype)
    return CellSummary(analysis_id, counts, sum(counts.values()) + unidentified, quality)


@pytest.mark.parametrize("karyotype", ["46,XX", "46,XY", "47,XY,+21", "45,X", "48,XXY,+18"])
def test_scattered_errors_do_not_change_the_consensus(karyotype: str) -> None:
    counts = parse_iscn(karyotype)
    swapped = {**counts, 21: counts[21] - 1, 22: counts[22] + 1}
    cells = [
        *(cell(n, karyotype) for n in range(3)),
        CellSummary(3, swapped, sum(swapped.values()), 0.8),
        cell(4, "44,XX,-1,-9", quality=0.3),
    ]
    summary = summarise(cells)
    assert summary.iscn == karyotype
    assert summary.modal_count == sum(counts.values())
    assert summary.cell_count == 5
    assert summary.agreement[21] == pytest.approx(0.75)
    assert summary.agreement[1] == 1
    assert summary.mosaic_hint == ()


def test_quality_decides_between_few_cells() -> None:
    summary = summarise([cell(1, "46,XX", 0.2), cell(2, "46,XX,-5,+6", 0.9), cell(3, "46,XX", 0.3)])
    assert summary.iscn == "46,XX,-5,+6"
    assert summary.ranking == (2, 3, 1)


def test_the_higher_of_equally_frequent_counts_is_modal() -> None:
    summary = summarise([cell(1, "45,XX,-5"), cell(2, "46,XX")])
    assert summary.modal_count == 46
    assert summary.count_distribution == {45: 1, 46: 1}


def test_a_recurring_minority_is_a_mosaic_hint() -> None:
    cells = [*(cell(n, "46,XX") for n in range(6)), *(cell(n, "45,X") for n in range(6, 9))]
    assert summarise(cells).mosaic_hint == (Clone("45,X", 3),)
    assert summarise(cells[:-1]).mosaic_hint == ()
    gained = [*cells[:6], cell(7, "47,XX,+8"), cell(8, "47,XX,+8")]
    assert summarise(gained).mosaic_hint == (Clone("47,XX,+8", 2),)


def test_unidentified_chromosomes_are_counted_and_make_no_clone() -> None:
    cells = [*(cell(n, "46,XX") for n in range(4)), *(cell(n, "45,X", unidentified=1) for n in range(4, 7))]
    summary = summarise(cells)
    assert cells[-1].iscn == "46,X,inc"
    assert summary.count_distribution == {46: 7}
    assert summary.mosaic_hint == ()


def test_a_case_without_cells_has_no_count_and_no_karyotype() -> None:
    summary = summarise([])
    assert (summary.cell_count, summary.modal_count, summary.iscn) == (0, None, None)


def test_a_summary_survives_json() -> None:
    summary = summarise([*(cell(n, "46,XX") for n in range(4)), cell(8, "47,XX,+8"), cell(9, "47,XX,+8")])
    assert CaseSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary
