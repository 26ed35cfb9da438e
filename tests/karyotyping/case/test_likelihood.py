"""The probability of a cell sums over every way in which its errors can have happened."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from karyotyping.case.cell import CellSummary, doubts, outline_doubts
from karyotyping.case.changes import normal_copies
from karyotyping.case.likelihood import background_likelihood, cell_likelihoods
from karyotyping.case.rates import COLUMNS, ErrorRates
from karyotyping.nomenclature.iscn import parse_iscn

RATES = ErrorRates()


def cell(karyotype: str, quality: float = RATES.reference_quality, **fields: object) -> CellSummary:
    counts = parse_iscn(karyotype)
    return CellSummary(1, counts, sum(counts.values()), quality, **fields)  # type: ignore[arg-type]


def likelihood(found: CellSummary, clone: str, level: float = 1.0, rates: ErrorRates = RATES) -> float:
    copies = np.array([parse_iscn(clone).get(k, 0) for k in range(1, 25)])
    return float(cell_likelihoods(found, [copies], rates, [[level, level]])[0, 0])


def test_the_probabilities_of_all_results_sum_to_one() -> None:
    """With errors in two classes only, all results can be listed."""
    table = np.zeros((24, COLUMNS))
    table[20, 21], table[21, 20] = 0.02, 0.01  # 21 as 22 and back
    lost = np.zeros(24)
    lost[20], lost[21] = 0.03, 0.02
    extra = np.zeros(COLUMNS)
    extra[20:22] = 0.002

    class Two(ErrorRates):
        def lost_by_class(self) -> np.ndarray:
            return lost

        def misread_by_class(self) -> np.ndarray:
            return table

        def extra_by_column(self) -> np.ndarray:
            return np.maximum(extra, 1e-12)

    total = 0.0
    for of_21, of_22 in product(range(6), range(6)):
        counts = {**parse_iscn("46,XX"), 21: of_21, 22: of_22}
        found = CellSummary(1, counts, sum(counts.values()), RATES.reference_quality)
        total += np.exp(likelihood(found, "46,XX", rates=Two()))
    assert total == pytest.approx(1, abs=0.005)  # errors that cancel are left out


def test_a_misreading_is_one_error_and_not_two() -> None:
    swapped = likelihood(cell("46,XX,-7,+8"), "46,XX")
    alone = likelihood(cell("45,XX,-7"), "46,XX") + likelihood(cell("47,XX,+8"), "46,XX")
    assert swapped > alone - likelihood(cell("46,XX"), "46,XX")


def test_small_chromosomes_are_lost_most() -> None:
    assert likelihood(cell("45,XX,-21"), "46,XX") > likelihood(cell("45,XX,-4"), "46,XX") + 1


def test_poor_cells_have_more_errors() -> None:
    def loss(quality: float) -> float:
        return likelihood(cell("45,XX,-4", quality), "46,XX") - likelihood(cell("46,XX", quality), "46,XX")

    assert loss(0.3) > loss(0.9) + 1


def log_odds(found: str, outlines: float, classes: float) -> float:
    """Log odds of a result of 46,XX against a result without error, by expected edits."""
    facts = {"outline_edits": outlines, "class_edits": classes}
    return likelihood(cell(found, **facts), "46,XX") - likelihood(cell("46,XX", **facts), "46,XX")


@pytest.mark.parametrize("found", ["45,XX,-4", "47,XX,+8", "46,XX,-4,+8"])
def test_the_expected_edits_of_a_cell_come_before_its_quality(found: str) -> None:
    by_quality = likelihood(cell(found), "46,XX") - likelihood(cell("46,XX"), "46,XX")
    by_edits = log_odds(found, RATES.reference_outline_edits, RATES.reference_class_edits)
    assert by_edits == pytest.approx(by_quality)
    assert log_odds(found, 0.0, 0.0) > -100


def test_losses_and_gains_follow_the_edits_of_outlines_and_misreadings_those_of_classes() -> None:
    assert log_odds("45,XX,-4", 8.0, 0.3) > log_odds("45,XX,-4", 0.6, 0.3) + 0.7
    assert log_odds("47,XX,+8", 8.0, 0.3) > log_odds("47,XX,+8", 0.6, 0.3) + 1
    assert log_odds("47,XX,+8", 2.0, 3.0) == pytest.approx(log_odds("47,XX,+8", 2.0, 0.1), abs=0.3)
    assert log_odds("46,XX,-4,+8", 1.0, 3.0) > log_odds("46,XX,-4,+8", 1.0, 0.1) + 1


def test_chromosomes_without_a_class_follow_the_more_expected_edits() -> None:
    def unnamed(outlines: float, classes: float) -> float:
        facts = {"outline_edits": outlines, "class_edits": classes}
        found = replace(cell("45,XX,-4", **facts), chromosome_count=46)
        return likelihood(found, "46,XX") - likelihood(cell("46,XX", **facts), "46,XX")

    assert unnamed(8.0, 0.3) > unnamed(1.0, 0.3) + 1
    assert unnamed(8.0, 0.5) == pytest.approx(unnamed(8.0, 0.1), abs=0.3)
    assert unnamed(1.0, 3.0) > unnamed(1.0, 0.1) + 1


def test_an_object_that_may_be_a_chromosome_explains_a_lost_one() -> None:
    def loss(objects: int | None) -> float:
        found = cell("45,XX,-4", outline_edits=2.0, class_edits=0.2, unexplained_objects=objects)
        return likelihood(found, "46,XX") - likelihood(found, "45,XX,-4")

    def gain(objects: int | None) -> float:
        found = cell("47,XX,+4", outline_edits=2.0, class_edits=0.2, unexplained_objects=objects)
        return likelihood(found, "46,XX") - likelihood(found, "47,XX,+4")

    assert loss(0) < loss(1) < loss(None) < loss(2)  # a cell has 1.1 objects on average
    assert loss(2) > loss(0) + 0.1
    assert gain(2) == pytest.approx(gain(0), abs=0.1)


def test_chromosomes_that_touch_explain_a_lost_one() -> None:
    def against(found: str, touching: int | None) -> float:
        one = cell(found, outline_edits=2.0, class_edits=0.2, touching=touching)
        return likelihood(one, "46,XX") - likelihood(one, found)

    assert against("45,XX,-4", 40) > against("45,XX,-4", 0) + 1
    assert against("45,XX,-4", 0) < against("45,XX,-4", None) < against("45,XX,-4", 40)
    assert against("47,XX,+4", 40) == pytest.approx(against("47,XX,+4", 0), abs=0.3)


def test_a_cell_of_many_surplus_chromosomes_is_possible_under_every_clone() -> None:
    """One more does not make a clone impossible that explains all others as well."""
    poor = {"outline_edits": 23.0, "class_edits": 2.5}
    lacking = cell("38,XX,-1,-3,-4,-6,-11,-16,-17,-22", **poor)
    assert likelihood(replace(lacking, chromosome_count=45), "46,XX") > -40
    with_gain = replace(lacking, class_counts={**lacking.class_counts, 19: 3}, chromosome_count=46)
    assert likelihood(with_gain, "46,XX") > -40


def test_a_doubtful_outline_explains_an_extra_chromosome() -> None:
    """An outline without doubt is that of a chromosome."""

    def gain(odds: float) -> float:
        return likelihood(cell("47,XX,+8", outline_doubts={8: odds}), "46,XX")

    unknown = likelihood(cell("47,XX,+8"), "46,XX")
    assert gain(0.0005) < unknown - 2 < unknown + 2 < gain(1.0)
    assert gain(1 / RATES.outline_evidence) == pytest.approx(unknown)
    assert likelihood(cell("46,XX", outline_doubts={8: 1.0}), "46,XX") == likelihood(cell("46,XX"), "46,XX")


def test_a_certain_outline_is_least_an_artefact_where_no_outline_is_expected_to_be_wrong() -> None:
    def gain(edits: float) -> float:
        facts = {"outline_edits": edits, "class_edits": 0.1, "outline_doubts": {8: 0.0}}
        return likelihood(cell("47,XX,+8", **facts), "46,XX") - likelihood(cell("46,XX", **facts), "46,XX")

    assert gain(0.0) < gain(RATES.reference_outline_edits) - 3
    assert gain(2 * RATES.reference_outline_edits) == pytest.approx(gain(RATES.reference_outline_edits))


def test_outline_doubts_are_means_over_the_chromosomes_of_a_class() -> None:
    assert outline_doubts([(8, 0.5), (8, 1.0), (None, 0.1), (9, 0.0)]) == {8: 0.5, 9: pytest.approx(19.0)}


def test_doubt_about_a_class_explains_its_misreading() -> None:
    sure = cell("46,XX,-7,+8")
    unsure = cell("46,XX,-7,+8", doubts=doubts([(8, 0.55, [(8, 0.6), (7, 0.4)])]))
    assert likelihood(unsure, "46,XX") > likelihood(sure, "46,XX") + 1
    assert likelihood(unsure, "46,XX,-7,+8") == likelihood(sure, "46,XX,-7,+8")


def test_doubts_share_what_the_class_lacks() -> None:
    found = doubts([(21, 0.8, [(21, 0.7), (22, 0.2), (24, 0.05)]), (21, 0.5, [(22, 0.6)]), (None, 0.0, [(1, 0.5)])])
    assert found == {(21, 22): pytest.approx(0.2 + 1.0), (21, 24): pytest.approx(0.05)}


def test_an_unreadable_cell_is_more_probable_as_background() -> None:
    chaos = cell("46,XX,-1,-2,-3,-4,-5,-9,+6,+7,+8,+10,+11,+12")
    assert background_likelihood(chaos) > likelihood(chaos, "46,XX", level=1 / 9)
    assert background_likelihood(cell("46,XX")) < likelihood(cell("46,XX"), "46,XX")
    assert background_likelihood(cell("69,XXY")) == pytest.approx(background_likelihood(cell("46,XX")))


def test_too_many_surplus_chromosomes_are_impossible() -> None:
    assert likelihood(cell("69,XXX"), "46,XX") < -500
    assert likelihood(cell("46,XX"), "69,XXX", level=3) > -500  # a burst cell


@pytest.mark.parametrize("sex", ["XX", "XY", "X"])
def test_rates_are_probabilities(sex: str) -> None:
    misread = RATES.misread_by_class()
    assert misread.shape == (24, COLUMNS)
    assert (np.diag(misread[:, :24]) == 0).all()
    assert ((misread.sum(axis=1) + RATES.lost_by_class()) < 0.5).all()
    assert normal_copies(sex).sum() == 44 + len(sex)
