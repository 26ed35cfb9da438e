"""A case has a karyotype only where its cells agree; it fits the modal count."""

from __future__ import annotations

import json

import numpy as np
import pytest

from karyotyping.case.cell import CellSummary
from karyotyping.case_summary import CaseSummary, Clone, summarise
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn


def cell(
    analysis_id: int, karyotype: str, quality: float = 0.8, unidentified: int = 0, *, called: bool = True
) -> CellSummary:
    counts = parse_iscn(karyotype)
    return CellSummary(analysis_id, counts, sum(counts.values()) + unidentified, quality, called=called)


def case(*karyotypes: str, quality: float = 0.8) -> CaseSummary:
    return summarise(cell(number, karyotype, quality) for number, karyotype in enumerate(karyotypes))


@pytest.mark.parametrize("karyotype", ["46,XX", "46,XY", "47,XY,+21", "45,X", "48,XXY,+18", "69,XXY", "92,XXYY"])
def test_scattered_errors_do_not_change_the_karyotype(karyotype: str) -> None:
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
    assert (summary.cell_count, summary.voters, summary.karyotype_agreement) == (5, 4, 0.75)
    assert summary.agreement[21] == pytest.approx(0.75)
    assert summary.agreement[1] == 1
    assert (summary.resolution, summary.why) == (
        "resolved",
        f"3 of 4 cells with {sum(counts.values())} chromosomes agree exactly.",
    )
    assert summary.mosaic_hint == ()


def test_the_modal_count_is_the_commonest_whatever_the_quality() -> None:
    summary = summarise([cell(1, "45,X", 0.1), cell(2, "45,X", 0.2), cell(3, "46,XX", 0.99)])
    assert (summary.modal_count, summary.iscn, summary.tied_counts) == (45, "45,X", ())
    assert (summary.count_distribution, summary.count_min, summary.count_max) == ({45: 2, 46: 1}, 45, 46)


@pytest.mark.parametrize(
    ("karyotypes", "modal_count", "tied_counts", "named"),
    [
        (("45,X", "47,XX,+8", "47,XX,+8", "45,X", "44,X,-1"), 47, (45,), "47 and 45 chromosomes, in 2 cells"),
        (("45,X", "46,XX"), 46, (45,), "46 and 45 chromosomes, in 1 cell"),
        (("44,X,-1", "45,X", "48,XX,+1,+2"), 45, (44, 48), "45, 44 and 48 chromosomes, in 1 cell"),
    ],
)
def test_of_equally_common_counts_the_one_closest_to_46_is_modal_and_the_tie_is_named(
    karyotypes: tuple[str, ...], modal_count: int, tied_counts: tuple[int, ...], named: str
) -> None:
    summary = case(*karyotypes)
    assert (summary.modal_count, summary.tied_counts) == (modal_count, tied_counts)
    assert (summary.resolution, summary.iscn) == ("not_resolved", None)
    assert summary.why == f"Counts are tied: {named} each."


def test_the_karyotype_has_as_many_chromosomes_as_the_modal_count() -> None:
    """Voting class by class would give 47,XX,+21 for cells of 46 chromosomes here."""
    votes = case("46,XX,-1,+21", "46,XX,-2,+21", "46,XX,-3,+21", "46,XX", "46,XX")
    assert sum(votes.consensus.values()) == votes.modal_count == 46
    rng = np.random.default_rng(7)
    for _ in range(200):
        cells = []
        for number in range(rng.integers(1, 9)):
            counts = parse_iscn("46,XY")
            for _ in range(rng.integers(0, 4)):
                lost, gained = rng.integers(1, 25, 2)
                counts[int(lost)] = max(0, counts.get(int(lost), 0) - int(rng.integers(0, 2)))
                counts[int(gained)] = counts.get(int(gained), 0) + int(rng.integers(0, 2))
            cells.append(CellSummary(number, counts, sum(counts.values()), float(rng.random())))
        summary = summarise(cells)
        commonest = max(summary.count_distribution.values())
        assert summary.modal_count is not None
        assert summary.count_distribution[summary.modal_count] == commonest
        assert sum(summary.consensus.values()) == summary.modal_count
        assert (summary.iscn is None) == (summary.resolution == "not_resolved")
        if summary.iscn is not None:
            assert summary.iscn == format_iscn(summary.consensus)


def test_cells_that_disagree_are_not_resolved() -> None:
    summary = case("45,XX,-22", "48,XY,-1,+8,+11,+14", "46,X,+22", "48,XX,+1,+2")
    assert (summary.modal_count, summary.voters, summary.karyotype_agreement) == (48, 2, 0.5)
    assert (summary.resolution, summary.iscn) == ("not_resolved", None)
    assert summary.why == "Cells disagree: of 2 cells with 48 chromosomes, 1 with exactly the consensus."


def swapped(gained: int, lost: int) -> str:
    return format_iscn({**parse_iscn("46,XX"), gained: 3, lost: 1})


def test_a_karyotype_of_no_cell_is_not_resolved() -> None:
    summary = case(*(swapped(1 + n, 20 - n) for n in range(9)), *(swapped(20 - n, 1 + n) for n in range(9)))
    assert min(summary.agreement.values()) < 0.99
    assert (summary.resolution, summary.iscn) == ("not_resolved", None)


def test_a_majority_of_two_thirds_for_every_class_resolves_if_two_cells_have_the_karyotype() -> None:
    errors = [swapped(1 + n, 20 - n) for n in range(8)]
    summary = case("46,XX", "46,XX", *errors)
    assert (summary.iscn, summary.resolution, summary.karyotype_agreement) == ("46,XX", "resolved", 0.2)
    assert summary.why == (
        "2 of 10 cells with 46 chromosomes agree exactly, and for each class more than two thirds have the same copies."
    )
    assert case("46,XX", *errors).resolution == "not_resolved"
    systematic = case("46,XX", "46,XX", *[swapped(21, 22)] * 2, swapped(1, 22), swapped(2, 22))
    assert systematic.resolution == "not_resolved"


def test_a_modal_count_of_few_cells_is_not_resolved() -> None:
    scattered = ("44,XX,-1,-2", "45,X", "47,XX,+8", "48,XX,+8,+9")
    summary = case("46,XX", "46,XX", *scattered)
    assert summary.why == "Counts disagree: 2 of 6 complete cells have 46 chromosomes."
    assert (summary.resolution, summary.iscn, summary.karyotype_agreement) == ("not_resolved", None, 1.0)
    assert case("46,XX", "46,XX", *scattered[1:]).iscn == "46,XX"


def test_incomplete_cells_have_no_vote() -> None:
    counts = parse_iscn("46,XY")
    parts = [
        CellSummary(n, {k: c for k, c in counts.items() if k > lost}, 46 - 2 * lost, 0.9)
        for n, lost in enumerate((7, 5, 3))
    ]
    assert [part.chromosome_count for part in parts] == [32, 36, 40]
    alone = summarise(parts)
    assert (alone.resolution, alone.iscn, alone.voters, alone.karyotype_agreement) == ("not_resolved", None, 0, None)
    assert (alone.modal_count, alone.consensus) == (40, {})
    assert alone.why == "No cell is complete: the counts are 32 to 40, and 41 chromosomes are needed."
    several = summarise([*parts, cell(7, "46,XX", 0.8), cell(8, "46,XX", 0.8)])
    assert (several.iscn, several.voters, several.cell_count) == ("46,XX", 2, 5)
    assert summarise([*parts, cell(7, "46,XX", 0.8)]).why == "Only 1 of 4 cells is complete."


def test_one_cell_of_good_quality_is_marked() -> None:
    summary = case("47,XY,+21")
    assert (summary.iscn, summary.resolution, summary.why) == ("47,XY,+21", "one_cell", "The case has one cell.")
    poor = case("47,XY,+21", quality=0.42)
    assert (poor.iscn, poor.resolution) == (None, "not_resolved")
    assert poor.why == "The only complete cell has quality 0.42, and 0.7 is needed."


def test_a_cell_that_is_not_called_has_no_vote() -> None:
    tangles = [cell(n, "46,XX", 0.0, unidentified=45, called=False) for n in range(3)]
    summary = summarise([cell(7, "46,XX"), *tangles])
    assert (summary.iscn, summary.resolution, summary.modal_count) == ("46,XX", "one_cell", 46)
    assert (summary.count_distribution, summary.count_max) == ({46: 1, 91: 3}, 91)
    nothing = summarise(tangles)
    assert (nothing.modal_count, nothing.iscn, nothing.mosaic_hint) == (None, None, ())
    assert nothing.why == "No image is a metaphase of one cell: the counts are 91."


def test_cells_are_ranked_by_quality() -> None:
    assert summarise([cell(1, "46,XX", 0.2), cell(2, "46,XX,-5,+6", 0.9), cell(3, "46,XX", 0.3)]).ranking == (2, 3, 1)


def test_a_recurring_minority_is_a_mosaic_hint() -> None:
    cells = [*(cell(n, "46,XX") for n in range(6)), *(cell(n, "45,X") for n in range(6, 9))]
    assert summarise(cells).mosaic_hint == (Clone("45,X", 3),)
    assert summarise(cells[:-1]).mosaic_hint == ()
    gained = [*cells[:6], cell(7, "47,XX,+8"), cell(8, "47,XX,+8")]
    assert summarise(gained).mosaic_hint == (Clone("47,XX,+8", 2),)
    equal = summarise([*cells[:3], *cells[6:]])
    assert (equal.iscn, equal.mosaic_hint) == (None, (Clone("46,XX", 3), Clone("45,X", 3)))


def test_unidentified_chromosomes_are_counted_and_make_no_karyotype() -> None:
    incomplete = [cell(n, "45,X", unidentified=1) for n in range(4, 7)]
    summary = summarise([*(cell(n, "46,XX") for n in range(4)), *incomplete])
    assert incomplete[-1].iscn == "46,X,inc"
    assert (summary.count_distribution, summary.iscn, summary.voters) == ({46: 7}, "46,XX", 7)
    assert summary.mosaic_hint == ()
    alone = summarise(incomplete)
    assert (alone.iscn, alone.why) == (None, "No cell with 46 chromosomes has all of them identified.")


def test_a_case_without_cells_has_no_count_and_no_karyotype() -> None:
    summary = summarise([])
    assert (summary.cell_count, summary.modal_count, summary.iscn) == (0, None, None)
    assert (summary.resolution, summary.why) == ("not_resolved", "No image of the case has a result.")


def test_a_summary_is_json() -> None:
    summary = summarise([*(cell(n, "46,XX") for n in range(4)), cell(8, "47,XX,+8"), cell(9, "47,XX,+8")])
    document = json.loads(json.dumps(summary.to_json()))
    assert document["mosaic_hint"] == [{"iscn": "47,XX,+8", "cells": 2}]
    assert (document["voters"], document["karyotype_agreement"], document["resolution"]) == (4, 1.0, "resolved")
    assert (document["count_min"], document["count_max"], document["tied_counts"]) == (46, 47, [])
    assert (document["count_distribution"], document["agreement"]["21"]) == ({"46": 4, "47": 2}, 1.0)
