"""Cells that a case chooses to count and to karyotype."""

from __future__ import annotations

from karyotyping.case.cell import CellSummary
from karyotyping.case.choice import choose_to_count, choose_to_karyotype, rank
from karyotyping.case.policy import read_policy
from karyotyping.case_summary import summarise
from karyotyping.nomenclature.iscn import parse_iscn

BLOOD = read_policy().of("blood")
IN_SITU = read_policy().of("af in situ")


def cell(
    number: int, edits: float | None, *, karyotype: str = "46,XX", quality: float = 0.8, **facts: object
) -> CellSummary:
    counts = parse_iscn(karyotype)
    outlines = None if edits is None else edits / 2
    return CellSummary(
        number,
        counts,
        sum(counts.values()),
        quality,
        outline_edits=outlines,
        class_edits=outlines,
        **facts,  # type: ignore[arg-type]
    )


def test_the_fewest_expected_edits_come_first() -> None:
    cells = [cell(1, 5.0), cell(2, 0.5), cell(3, 0.1, called=False), cell(4, None, quality=0.9), cell(5, None)]
    assert [one.analysis_id for one in rank(cells)] == [2, 1, 4, 5, 3]


def test_an_abnormal_count_is_no_reason_to_come_later() -> None:
    assert [one.analysis_id for one in rank([cell(1, 1.0), cell(2, 0.9, karyotype="47,XX,+21")])] == [2, 1]


def test_as_many_are_chosen_as_the_policy_counts_and_analyses() -> None:
    ranked = rank(cell(n, n / 10) for n in range(30))
    counted, karyotyped = choose_to_count(ranked, BLOOD), choose_to_karyotype(ranked, BLOOD)
    assert [one.analysis_id for one in counted] == list(range(20))
    assert [one.analysis_id for one in karyotyped] == list(range(5))
    assert counted[10].reason == "46 chromosomes, all with a class; expected to correct: 0.5 outlines, 0.5 classes."


def test_incomplete_and_pale_cells_are_not_karyotyped_first() -> None:
    part = dict.fromkeys(range(1, 24), 1)
    ranked = rank(
        [
            CellSummary(1, part, 23, 0.9, outline_edits=0, class_edits=0),
            cell(2, 1.0, band_level=300),
            cell(3, 2.0, band_level=560),
        ]
    )
    assert [one.analysis_id for one in choose_to_karyotype(ranked, BLOOD)] == [3, 2]
    assert [one.analysis_id for one in choose_to_count(ranked, BLOOD)] == [1, 2, 3]


def test_in_situ_every_colony_comes_before_the_second_cell_of_any() -> None:
    cells = [cell(n, n / 10, culture="A", colony=str(n // 3)) for n in range(6)]
    assert [one.analysis_id for one in choose_to_count(rank(cells), IN_SITU)] == [0, 3, 1, 2, 4, 5]


def test_the_summary_has_the_choice() -> None:
    document = summarise([cell(1, 3.0), cell(2, 1.0, band_level=430)], tissue="blood").to_json()
    assert [one["analysis"] for one in document["to_count"]] == document["ranking"] == [2, 1]
    assert document["to_karyotype"][0]["reason"].endswith("band level 430.")
