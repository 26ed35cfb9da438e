"""The headline of a case follows its outcome; counts and ranking describe the cells."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from karyotyping.case.cell import CellSummary
from karyotyping.case_summary import CaseSummary, Clone, summarise
from karyotyping.nomenclature.iscn import parse_iscn


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
        *(cell(n, karyotype) for n in range(4)),
        CellSummary(4, swapped, sum(swapped.values()), 0.8),
        cell(5, "44,XX,-1,-9", quality=0.3),
    ]
    summary = summarise(cells)
    assert (summary.iscn, summary.resolution) == (karyotype, "resolved")
    assert summary.judgement.outcome == ("normal" if karyotype in ("46,XX", "46,XY") else "abnormal")
    assert summary.modal_count == sum(counts.values())
    assert (summary.cell_count, summary.voters, summary.karyotype_agreement) == (6, 5, 0.8)
    assert summary.agreement[21] == pytest.approx(0.8)
    assert summary.agreement[1] == 1
    assert summary.mosaic_hint == ()


def test_a_mosaic_is_written_with_its_cells() -> None:
    karyotypes = ["46,XX"] * 12 + ["47,XX,+21"] * 8
    assert case(*karyotypes).iscn == "mos 47,XX,+21[8]/46,XX[12]"
    cells = [cell(number, karyotype) for number, karyotype in enumerate(karyotypes)]
    assert summarise(cells, tissue="bone marrow").iscn == "47,XX,+21[8]/46,XX[12]"


def test_the_tissue_decides_how_a_lost_sex_chromosome_is_written() -> None:
    cells = [cell(number, "45,X" if number < 8 else "46,XY") for number in range(20)]
    assert summarise(cells, tissue="blood").iscn == "mos 45,X[8]/46,XY[12]"
    assert summarise(cells, tissue="Bone marrow").iscn == "45,X,-Y[8]/46,XY[12]"


def test_the_modal_count_is_the_commonest_whatever_the_quality() -> None:
    summary = summarise([cell(1, "45,X", 0.1), cell(2, "45,X", 0.2), cell(3, "46,XX", 0.99)])
    assert (summary.modal_count, summary.tied_counts) == (45, ())
    assert (summary.count_distribution, summary.count_min, summary.count_max) == ({45: 2, 46: 1}, 45, 46)


@pytest.mark.parametrize(
    ("karyotypes", "modal_count", "tied_counts"),
    [
        (("45,X", "47,XX,+8", "47,XX,+8", "45,X", "44,X,-1"), 47, (45,)),
        (("45,X", "46,XX"), 46, (45,)),
        (("44,X,-1", "45,X", "48,XX,+1,+2"), 45, (44, 48)),
    ],
)
def test_of_equally_common_counts_the_one_closest_to_46_is_modal(
    karyotypes: tuple[str, ...], modal_count: int, tied_counts: tuple[int, ...]
) -> None:
    summary = case(*karyotypes)
    assert (summary.modal_count, summary.tied_counts) == (modal_count, tied_counts)
    assert (summary.resolution, summary.iscn) == ("not_resolved", None)


def test_the_consensus_is_the_karyotype_of_a_voter() -> None:
    """Voting class by class would give 47,XX,+21 for cells of 46 chromosomes here."""
    votes = case("46,XX,-1,+21", "46,XX,-2,+21", "46,XX,-3,+21", "46,XX", "46,XX")
    assert sum(votes.consensus.values()) == votes.modal_count == 46
    assert votes.judgement.outcome == "suspected"


def test_any_noise_gives_a_summary() -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        cells = []
        for number in range(rng.integers(1, 9)):
            counts = parse_iscn("46,XY")
            for _ in range(rng.integers(0, 4)):
                lost, gained = rng.integers(1, 25, 2)
                counts[int(lost)] = max(0, counts.get(int(lost), 0) - int(rng.integers(0, 2)))
                counts[int(gained)] = counts.get(int(gained), 0) + int(rng.integers(0, 2))
            cells.append(CellSummary(number, counts, sum(counts.values()), float(rng.random())))
        summary = summarise(cells)
        assert summary.modal_count is not None
        assert summary.count_distribution[summary.modal_count] == max(summary.count_distribution.values())
        assert sum(summary.consensus.values()) in (0, summary.modal_count)
        assert (summary.iscn is None) == (summary.resolution == "not_resolved")
        assert summary.judgement.outcome != "abnormal"


def test_unrelated_cells_are_not_resolved() -> None:
    summary = case("45,XX,-22", "48,XY,-1,+8,+11,+14", "46,X,+22", "48,XX,+1,+2")
    assert (summary.modal_count, summary.voters, summary.karyotype_agreement) == (48, 2, 0.5)
    assert (summary.resolution, summary.iscn) == ("not_resolved", None)
    assert summary.why == "Chromosome 22 is as in its clone in 1 of 3 complete cells, and 3 are needed."


def test_incomplete_cells_are_not_resolved() -> None:
    counts = parse_iscn("46,XY")
    parts = [
        CellSummary(n, {k: c for k, c in counts.items() if k > lost}, 46 - 2 * lost, 0.9)
        for n, lost in enumerate((7, 5, 3))
    ]
    assert [part.chromosome_count for part in parts] == [32, 36, 40]
    alone = summarise(parts)
    assert (alone.resolution, alone.iscn, alone.voters, alone.karyotype_agreement) == ("not_resolved", None, 0, None)
    assert (alone.modal_count, alone.consensus) == (40, {})
    assert alone.why.endswith("No cell is complete: the counts are 32 to 40, and 41 chromosomes are needed.")
    assert json.loads(json.dumps(alone.to_json()))["karyotype"] is None
    one = summarise([*parts, cell(7, "46,XX", 0.8)])
    assert (one.resolution, one.iscn) == ("not_resolved", None)


def test_one_cell_of_good_quality_is_marked() -> None:
    summary = case("47,XY,+21")
    assert (summary.iscn, summary.resolution) == ("47,XY,+21", "one_cell")
    assert summary.judgement.outcome == "suspected"
    assert case("46,XX").judgement.outcome == "insufficient"
    poor = case("47,XY,+21", quality=0.42)
    assert (poor.iscn, poor.resolution) == (None, "not_resolved")
    assert poor.why == "The only cell has quality 0.42, and 0.7 is needed."
    part = summarise([cell(1, "46,XX", unidentified=1)])
    assert (part.iscn, part.why) == (None, "The only cell is incomplete: 47,XX,inc.")


def test_one_cell_that_may_have_what_it_lacks_makes_no_karyotype() -> None:
    lacking = summarise([replace(cell(1, "45,X"), unexplained_objects=1)])
    assert (lacking.iscn, lacking.why) == (None, "The only cell is incomplete: 45,X,inc.")
    whole = summarise([replace(cell(1, "46,XX"), unexplained_objects=1)])
    assert (whole.iscn, whole.resolution) == ("46,XX", "one_cell")


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


def test_a_recurring_karyotype_that_is_no_clone_is_a_hint() -> None:
    cells = [*(cell(n, "46,XX") for n in range(12)), cell(17, "47,XX,+8"), cell(18, "47,XX,+8")]
    summary = summarise(cells)
    assert (summary.judgement.outcome, summary.mosaic_hint) == ("suspected", (Clone("47,XX,+8", 2),))
    assert summarise(cells[:-1]).mosaic_hint == ()
    clonal = summarise([*(cell(n, "46,XX") for n in range(6)), *(cell(n, "45,X") for n in range(6, 12))])
    assert (clonal.iscn, clonal.mosaic_hint) == ("mos 45,X[6]/46,XX[6]", ())


def test_unidentified_chromosomes_are_counted_and_make_no_karyotype() -> None:
    incomplete = [cell(n, "45,X", unidentified=1) for n in range(4, 7)]
    summary = summarise([*(cell(n, "46,XX") for n in range(4)), *incomplete])
    assert incomplete[-1].iscn == "46,X,inc"
    assert (summary.count_distribution, summary.voters) == ({46: 7}, 7)
    assert (summary.judgement.outcome, summary.mosaic_hint) == ("suspected", ())


def test_a_case_without_cells_has_no_count_and_no_karyotype() -> None:
    summary = summarise([])
    assert (summary.cell_count, summary.modal_count, summary.iscn) == (0, None, None)
    assert (summary.resolution, summary.why) == ("not_resolved", "No image of the case has a result.")
    assert summary.to_json()["karyotype"] is None


def test_a_summary_is_json() -> None:
    summary = summarise([*(cell(n, "46,XX") for n in range(10)), cell(18, "47,XX,+8"), cell(19, "47,XX,+8")])
    document = json.loads(json.dumps(summary.to_json()))
    assert document["mosaic_hint"] == [{"iscn": "47,XX,+8", "cells": 2}]
    assert (document["voters"], document["karyotype_agreement"], document["resolution"]) == (10, 1.0, "not_resolved")
    assert (document["count_min"], document["count_max"], document["tied_counts"]) == (46, 47, [])
    assert (document["count_distribution"], document["agreement"]["21"]) == ({"46": 10, "47": 2}, 1.0)
    # Two exact cells with a gain are a probable clone at the rates of the pipeline, and not certain enough to call.
    assert (document["outcome"], document["karyotype"]) == ("suspected", "mos 47,XX,+8[2]/46,XX[10]")
    assert (document["iscn"], [clone["cells"] for clone in document["clones"]]) == (None, [[18, 19], [*range(10)]])
    gain = document["abnormalities"][0]
    assert (gain["change"], gain["cells"], gain["clonal"]) == ("+8", [18, 19], True)
    assert 0.01 < gain["artefact"] < 0.5
    assert document["not_examined"][0] == "structural abnormalities"
    assert document["sufficiency"]["requirements"][0] == {"name": "counted", "needed": 30, "found": 12, "missing": 18}
