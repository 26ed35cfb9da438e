"""What cells allow to say: certainty where they agree, and none where they do not."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from karyotyping.case.cell import CellSummary
from karyotyping.case.changes import Change, changes_of, log_prior_of_events, normal_copies, reference_sex
from karyotyping.case.decision import Judgement, Outcome, judge
from karyotyping.case.rules import Rules
from karyotyping.nomenclature.iscn import format_iscn, parse_iscn


def cells(*karyotypes: str, quality: float = 0.8, called: bool = True) -> list[CellSummary]:
    found = []
    for number, karyotype in enumerate(karyotypes):
        counts = parse_iscn(karyotype)
        found.append(CellSummary(number, counts, sum(counts.values()), quality, called=called))
    return found


def clones(judged: Judgement) -> list[str]:
    return [format_iscn(clone.copies) for clone in judged.clones]


@pytest.mark.parametrize("karyotype", ["46,XX", "46,XY"])
@pytest.mark.parametrize("number", [3, 5, 20])
def test_normal_cells_are_normal(karyotype: str, number: int) -> None:
    judged = judge(cells(*[karyotype] * number))
    assert (judged.outcome, clones(judged)) == (Outcome.NORMAL, [karyotype])
    assert judged.clones[0].posterior > 0.99
    assert len(judged.clones[0].exact) == number


@pytest.mark.parametrize(
    "karyotype", ["47,XX,+21", "47,XY,+18", "47,XX,+13", "45,X", "47,XXY", "47,XYY", "47,XXX", "69,XXX", "69,XXY"]
)
def test_an_abnormality_of_every_cell_is_abnormal(karyotype: str) -> None:
    judged = judge(cells(*[karyotype] * 5))
    assert (judged.outcome, clones(judged)) == (Outcome.ABNORMAL, [karyotype])
    assert judged.clones[0].artefact < 0.01
    assert all(one.clonal and one.cells == (0, 1, 2, 3, 4) for one in judged.abnormalities)


def test_scattered_losses_stay_artefacts() -> None:
    judged = judge(cells(*["46,XX"] * 12, "45,XX,-21", "45,XX,-22", "45,XX,-21", "44,XX,-4,-19", "45,X", "47,XX,+11"))
    assert (judged.outcome, clones(judged)) == (Outcome.NORMAL, ["46,XX"])
    lost = next(one for one in judged.others if one.change == Change(21, -1))
    assert lost.cells == (12, 14)
    assert (lost.artefact > 0.9, lost.clonal) == (True, False)


def test_a_mosaic_has_two_clones_with_their_cells() -> None:
    judged = judge(cells(*["46,XY"] * 12, *["47,XY,+21"] * 8))
    assert (judged.outcome, clones(judged)) == (Outcome.ABNORMAL, ["47,XY,+21", "46,XY"])
    assert [clone.cells for clone in judged.clones] == [tuple(range(12, 20)), tuple(range(12))]


@pytest.mark.parametrize(("karyotype", "number"), [("47,XX,+21", 2), ("47,XX,+8", 3), ("47,XXX", 3), ("45,X", 3)])
def test_few_certain_cells_show_a_mosaic_that_is_clonal(karyotype: str, number: int) -> None:
    case = cells(*[karyotype] * number, *["46,XX"] * (5 - number))
    certain = with_certain_outlines(case)
    judged = judge(with_edits(certain, 0.3, 0.1))
    assert (judged.outcome, clones(judged)) == (Outcome.ABNORMAL, [karyotype, "46,XX"])
    assert all(clone.posterior > 0.99 for clone in judged.clones)
    assert judge(with_edits(certain[1:], 0.3, 0.1)).outcome is Outcome.SUSPECTED
    noisy = [*case[:3], *cells("45,XX,-22", "45,XX,-4")]
    assert judge(with_edits(numbered(noisy), 6.0, 1.0)).outcome is not Outcome.ABNORMAL


def test_normal_cells_that_may_have_lost_the_small_chromosome_of_the_others_are_suspected() -> None:
    case = with_edits(with_certain_outlines(cells(*["47,XX,+21"] * 3, *["46,XX"] * 2)), 0.3, 0.1)
    judged = judge(case)
    assert (judged.outcome, judged.clones[1].established) == (Outcome.SUSPECTED, True)
    assert judged.why.startswith("A normal clone in 2 cells: ")


def test_one_more_cell_with_the_change_of_a_clone_leaves_the_mosaic_called() -> None:
    """Its chromosome without a class may be the lost one: it is assigned to the normal clone."""
    case = [*cells(*["45,XX,-12"] * 6, *["46,XX"] * 6), *with_an_unidentified("45,XX,-12", 1)]
    judged = judge(with_edits(numbered(case), 0.0, 1.0))
    assert Change(12, -1) in [one.change for one in judged.others]
    assert (judged.outcome, clones(judged)) == (Outcome.ABNORMAL, ["45,XX,-12", "46,XX"])


def test_one_cell_of_a_recurrent_gain_is_no_reason_to_count_more_where_it_is_a_probable_artefact() -> None:
    case = [*cells(*["46,XY"] * 4), *cells("47,XYY")]
    certain, doubtful = (
        [replace(cell, outline_doubts={24: odds}) for cell in with_edits(numbered(case), 2.0, 0.2)]
        for odds in (0.0005, 2.0)
    )
    judged = judge(certain)
    assert judged.outcome is Outcome.SUSPECTED
    assert "+Y" in judged.why
    assert judge(doubtful).outcome is Outcome.NORMAL


def test_a_normal_case_with_one_cell_of_a_recurrent_gain_needs_the_cells_that_mosaicism_needs() -> None:
    """Also where more departs in that cell: of two abnormal cells in twenty one may look normal."""
    case = with_certain_outlines(with_edits(cells(*["46,XX"] * 30, "46,XX,+21,-16"), 1.0, 0.2))
    few = judge(case[-20:])
    assert (few.outcome, few.why) == (Outcome.SUSPECTED, "+21 is seen in a cell, and 30 cells that fit are needed.")
    assert judge(case).outcome is Outcome.NORMAL
    assert judge(case[:20]).outcome is Outcome.NORMAL


def test_a_more_probable_loss_hides_no_recurrent_gain() -> None:
    case = with_certain_outlines(with_edits(cells(*["46,XY"] * 18, "46,XY,+21,-16", "45,X"), 1.0, 0.2))
    judged = judge(case)
    gain, loss = (next(one for one in judged.others if one.change == Change(*own)) for own in ((21, 1), (24, -1)))
    assert gain.artefact > loss.artefact
    assert (judged.outcome, judged.why) == (
        Outcome.SUSPECTED,
        "+21 is seen in a cell, and 30 cells that fit are needed.",
    )


def test_many_lost_chromosomes_without_extra_ones_are_no_clone() -> None:
    """A laboratory whose cells lose many chromosomes may have few other errors."""
    few = ["45,XX,-19", "44,XX,-13,-19", "43,XX,-17,-19,-22", "44,XX,-19,-20", "45,XX,-13"]
    many = ["44,XX,-14,-22", "43,XX,-8,-15,-21", "43,XX,-16,-18,-21"]
    judged = judge(with_edits(cells(*few, *many, *["46,XX"] * 12), 1.0, 0.2))
    loss = next(one for one in judged.others if one.change == Change(19, -1))
    assert (len(loss.cells), judged.outcome) == (4, Outcome.NORMAL)
    assert loss.artefact > 0.998


def test_two_of_five_cells_with_a_loss_are_no_clone() -> None:
    assert judge(with_edits(cells(*["45,X"] * 2, *["46,XX"] * 3), 0.3, 0.1)).outcome is Outcome.SUSPECTED


def test_related_clones_are_kept_apart() -> None:
    judged = judge(cells(*["47,XX,+8"] * 6, *["48,XX,+8,+9"] * 5, *["46,XX"] * 9))
    assert clones(judged) == ["47,XX,+8", "48,XX,+8,+9", "46,XX"]
    assert {str(one.change): len(one.cells) for one in judged.abnormalities} == {"+8": 11, "+9": 5}


def test_a_loss_names_the_chromosome_that_the_other_clone_has() -> None:
    judged = judge(cells(*["45,X"] * 10, *["46,XY"] * 10))
    assert [str(one.change) for one in judged.abnormalities] == ["-Y"]
    assert [str(one.change) for one in judge(cells(*["45,X"] * 6, *["46,XX"] * 6)).abnormalities] == ["-X"]


def test_two_cells_with_a_gain_are_suspected_and_two_with_a_loss_are_not() -> None:
    assert judge(cells(*["46,XX"] * 18, *["47,XX,+21"] * 2)).outcome == Outcome.SUSPECTED
    assert judge(cells(*["46,XX"] * 18, *["45,XX,-22"] * 2)).outcome == Outcome.NORMAL


def test_what_most_cells_show_is_not_called_away() -> None:
    doubtful = [replace(cell, doubts={(2, 1): 0.3}) for cell in cells(*["46,XX,-1,+2"] * 3)]
    judged = judge(doubtful)
    assert clones(judged) == ["46,XX"]
    assert judged.outcome == Outcome.SUSPECTED


def test_a_change_shared_by_two_different_karyotypes_is_seen() -> None:
    judged = judge(cells("46,XX,-7,+8", "46,XX,-7,+8", "46,XX"))
    assert judged.outcome == Outcome.SUSPECTED
    assert "in 2 cells" in judged.why


def test_two_losses_count_with_a_shared_gain_as_an_option() -> None:
    case = cells(*["46,XX"] * 8, *["47,XX,+8"] * 6, *["46,XX,-2,+8"] * 2)
    rules = Rules(two_losses_with_gain=True, min_posterior=0, possible=1, likely=1)
    judged = {option: judge(case, rules=rules if option else Rules(min_posterior=0)) for option in (True, False)}
    for option, one in judged.items():
        lost = [seen for seen in (*one.abnormalities, *one.others) if seen.change == Change(2, -1)]
        assert [seen.cells for seen in lost] == [(14, 15)]
        if lost[0] in one.abnormalities:
            assert lost[0].clonal == option


UNRELATED = ("45,XX,-22", "48,XY,-1,+8,+11,+14", "46,X,+22", "48,XX,+1,+2")
PARTS = tuple(format_iscn({k: n for k, n in parse_iscn("46,XX").items() if k > lost}) for lost in (7, 8, 6, 5))


@pytest.mark.parametrize(
    "karyotypes",
    [
        UNRELATED,
        PARTS,
        (PARTS[0],) * 8,
        (*PARTS, "46,XX", "46,XX"),
        ("46,XX",),
        ("47,XY,+21",),
        ("46,XX", "46,XX"),
        ("46,XX", "46,XX", "46,XY", "46,XY", "46,XY"),
    ],
)
def test_what_does_not_fit_together_is_not_called(karyotypes: tuple[str, ...]) -> None:
    judged = judge(cells(*karyotypes))
    assert judged.outcome in (Outcome.INSUFFICIENT, Outcome.SUSPECTED)
    assert not judged.is_called
    assert judged.why.endswith(".")


EDITS = {"certain": (0.0, 0.1), "usual": (5.0, 0.6)}  # expected edits of outlines and of classes


def with_edits(case: list[CellSummary], outlines: float, classes: float) -> list[CellSummary]:
    return [replace(cell, outline_edits=outlines, class_edits=classes) for cell in case]


def with_certain_outlines(case: list[CellSummary]) -> list[CellSummary]:
    return [replace(cell, outline_doubts=dict.fromkeys(range(1, 25), 0.0005)) for cell in case]


def with_an_unidentified(karyotype: str, number: int) -> list[CellSummary]:
    return [replace(cell, chromosome_count=cell.chromosome_count + 1) for cell in cells(*[karyotype] * number)]


def numbered(case: list[CellSummary]) -> list[CellSummary]:
    return [replace(cell, analysis_id=n) for n, cell in enumerate(case)]


HALVES = tuple(format_iscn({k: 2 * ((k + n) % 2) for k in range(1, 23)} | {23: 2}) for n in range(2))


@pytest.mark.parametrize("edits", EDITS)
@pytest.mark.parametrize("karyotypes", [UNRELATED, PARTS, (PARTS[1],) * 8, HALVES * 3, HALVES[:1] * 6])
def test_certain_cells_that_do_not_fit_together_are_not_called(karyotypes: tuple[str, ...], edits: str) -> None:
    judged = judge(with_edits(cells(*karyotypes), *EDITS[edits]))
    assert judged.outcome in (Outcome.INSUFFICIENT, Outcome.SUSPECTED)


@pytest.mark.parametrize("edits", EDITS)
def test_a_case_of_which_half_is_in_pieces_needs_the_other_half_whole(edits: str) -> None:
    whole = judge(with_edits(cells(*["46,XX"] * 4, *PARTS), *EDITS[edits]))
    assert whole.outcome == Outcome.NORMAL
    for other in (["45,XX,-3", "45,XX,-4"], ["46,XX", "46,XX"]):
        judged = judge(with_edits(cells(*other, *PARTS), *EDITS[edits]))
        assert judged.outcome in (Outcome.INSUFFICIENT, Outcome.SUSPECTED)


def test_a_further_chromosome_without_a_class_is_a_gain_where_outlines_are_certain() -> None:
    case = numbered([*cells(*["46,XY"] * 7, "47,XY,+22"), *with_an_unidentified("46,XY", 2)])
    assert judge(with_edits(case, 0.0, 0.5)).outcome in (Outcome.INSUFFICIENT, Outcome.SUSPECTED)
    assert judge(with_edits(case, 12.0, 0.5)).outcome == Outcome.NORMAL


@pytest.mark.parametrize("number", [7, 8])
def test_a_normal_clone_is_not_called_from_cells_of_47_chromosomes(number: int) -> None:
    """Their chromosome without a class may be the one that the other clone has more."""
    case = numbered([*cells(*["47,XY,+22"] * 12), *with_an_unidentified("46,XY", number)])
    judged = judge(case)
    assert [clone.established for clone in judged.clones] == [True, False]
    assert judged.outcome == Outcome.SUSPECTED
    assert judged.why == f"A normal clone in {number} cells is probable, and none of them shows it."
    assert judge(cells(*["47,XY,+22"] * 12, *["46,XY"] * number)).outcome == Outcome.ABNORMAL


def test_a_place_that_only_uncertain_chromosomes_fill_calls_nothing() -> None:
    """A chromosome of a neighbouring cell takes the place of a lost one, with a doubtful class."""
    filled = [replace(cell, doubts={(7, 8): 0.6}) for cell in cells(*["46,XX"] * 4)]
    judged = judge(filled)
    assert judged.outcome == Outcome.INSUFFICIENT
    assert judged.why == "Chromosome 7 is as in its clone in 0 of 4 complete cells, and 3 are needed."
    assert judge([replace(cell, doubts={(7, 8): 0.2}) for cell in filled]).outcome == Outcome.NORMAL


def test_no_place_attracts_a_gained_chromosome() -> None:
    """Its doubtful class leaves no case open; a doubtful pair of another class does."""
    gained = cells(*["47,XY,+21"] * 4)
    assert judge([replace(cell, doubts={(21, 22): 0.6}) for cell in gained]).outcome == Outcome.ABNORMAL
    judged = judge([replace(cell, doubts={(7, 8): 0.6}) for cell in gained])
    assert judged.why.endswith("Chromosome 7 is as in its clone in 0 of 4 complete cells, and 3 are needed.")


@pytest.mark.parametrize("karyotype", ["44,XX,-5,-11", "47,XX,+21", "46,XX"])
def test_cells_that_are_misread_alike_call_nothing(karyotype: str) -> None:
    case = cells(*[karyotype] * 5)
    assert judge(with_edits(case, 3.0, 1.0)).is_called
    judged = judge(with_edits(case, 3.0, 9.0))
    assert judged.outcome in (Outcome.INSUFFICIENT, Outcome.SUSPECTED)
    assert "0 are complete with certain classes and fit a clone" in judged.why


def test_no_clone_is_established_without_a_complete_cell() -> None:
    judged = judge(cells(*PARTS, *PARTS))
    assert not judged.is_called
    assert not any(clone.established for clone in judged.clones)
    assert judged.why.endswith("No cell is complete: the counts are 30 to 36, and 41 chromosomes are needed.")


def test_a_chromosome_that_too_few_cells_show_as_their_clone_has_it_leaves_the_case_open() -> None:
    losses = ("45,XX,-22", "45,XX,-22", "46,XX", "45,XX,-4")
    assert judge(cells(*losses, "45,XX,-18", "46,XX")).outcome == Outcome.NORMAL
    judged = judge(cells(*losses))
    assert not judged.is_called
    assert judged.why.endswith("Chromosome 22 is as in its clone in 2 of 4 complete cells, and 3 are needed.")


def test_a_gain_that_cells_without_a_clone_share_is_seen() -> None:
    judged = judge(cells("46,XX,-1,+21", "46,XX,-2,+21", "46,XX,-3,+21", "46,XX", "46,XX"))
    assert judged.outcome == Outcome.SUSPECTED
    assert judged.why.startswith("+21 in ")


def test_a_gain_in_two_cells_is_always_listed() -> None:
    """Also where the cells have many other departures, and the gain is a probable artefact."""
    case = [replace(cell, outline_doubts={8: 2.0}) for cell in cells(*["46,XX"] * 10, *["47,XX,+8"] * 2)]
    noise = cells(*(f"45,XX,-{k}" for k in range(9, 23)))
    judged = judge(numbered([*case, *noise]))
    gain = next(one for one in (*judged.abnormalities, *judged.others) if one.change == Change(8, 1))
    assert (gain.cells, gain.clonal) == ((10, 11), True)
    assert 0 < gain.artefact <= 1


def test_a_case_of_images_that_are_no_cells_is_insufficient() -> None:
    good = cells(*["46,XX"] * 4)
    tangles = [CellSummary(n, parse_iscn("46,XX"), 91, 0.0, called=False) for n in range(10, 15)]
    assert judge([*good, *tangles]).why == "Only 4 of 9 images are called."
    assert judge([*good, *tangles[:4]]).outcome == Outcome.NORMAL
    assert judge(tangles).why == "No image is a metaphase of one cell: the counts are 91."
    assert judge([]).why == "No image of the case has a result."


def test_a_broken_cell_among_good_ones_is_unexplained() -> None:
    judged = judge(cells(*["46,XX"] * 6, PARTS[0]))
    assert (judged.outcome, judged.unexplained) == (Outcome.NORMAL, (6,))


def test_noise_raises_the_error_level_and_lowers_the_certainty() -> None:
    rng = np.random.default_rng(3)

    def noisy() -> str:
        counts = parse_iscn("46,XX")
        for lost, gained in rng.integers(1, 23, (2, 2)):
            counts[int(lost)] -= counts[int(lost)] > 1
            counts[int(gained)] += 1
        return format_iscn(counts)

    judged = judge(cells(*(noisy() for _ in range(8))))
    assert judged.error_level > judge(cells(*["46,XX"] * 8)).error_level
    assert judged.outcome != Outcome.ABNORMAL


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["46,XX", "46,XY", "47,XX,+21", "45,X", "45,XX,-7", "50,XX,+1,+2,+3,+4", "69,XXY"])))
def test_any_case_has_an_outcome_and_shares_of_probability(karyotypes: list[str]) -> None:
    judged = judge(cells(*karyotypes))
    assert 0 <= judged.posterior <= 1
    for one in (*judged.abnormalities, *judged.others):
        assert 0 <= one.artefact <= 1
    assigned = [cell for clone in judged.clones for cell in clone.cells] + list(judged.unexplained)
    assert sorted(assigned) == list(range(len(karyotypes)))
    assert judge(list(reversed(cells(*karyotypes)))) == judged
    if judged.outcome == Outcome.NORMAL:
        near = sum(karyotype not in ("50,XX,+1,+2,+3,+4", "69,XXY") for karyotype in karyotypes)
        assert near >= max(3, len(karyotypes) / 2)


def test_a_large_case_takes_seconds() -> None:
    rng = np.random.default_rng(1)
    case = cells(*rng.choice(["46,XX", "47,XX,+8", "45,XX,-21", "46,XX,-3,+4"], 100))
    began = time.process_time()
    assert judge(case).clones
    assert time.process_time() - began < 20


def test_a_case_of_many_cells_has_the_clones_of_one_of_few() -> None:
    few = cells(*["46,XY"] * 24, *["47,XY,+21"] * 15)
    many = cells(*["46,XY"] * 48, *["47,XY,+21"] * 30)
    assert clones(judge(few)) == clones(judge(many)) == ["46,XY", "47,XY,+21"][::-1]
    assert judge(cells(*["46,XX"] * 80)).outcome == Outcome.NORMAL


def test_changes_are_those_of_the_patient_s_sex() -> None:
    assert changes_of(normal_copies("XX"), "XY") == changes_of(normal_copies("XY"), "XX") == ()
    assert [str(one) for one in changes_of(normal_copies("XXYY"), "XY")] == ["+X", "+Y"]
    assert [str(one) for one in changes_of(normal_copies("XXY", 3), "XY")] == ["triploid"]
    assert reference_sex([normal_copies("XX"), normal_copies("X")]) == "XX"


def test_the_loss_of_an_autosome_is_rarer_than_its_gain() -> None:
    normal, gain, loss = (normal_copies("XX") for _ in range(3))
    gain[8], loss[8] = 3, 1
    assert log_prior_of_events(normal, gain) > log_prior_of_events(normal, loss) + 1
    assert log_prior_of_events(gain, normal) == log_prior_of_events(normal, loss)
    assert log_prior_of_events(normal_copies("XX"), normal_copies("XXXX", 4)) == pytest.approx(np.log(0.003))
    assert log_prior_of_events(normal, normal_copies("X")) == pytest.approx(np.log(0.01))
