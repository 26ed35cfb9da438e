"""Figures of a validation, from invented judgements."""

from __future__ import annotations

import json

import pytest

from karyotyping.case.cell import CellSummary
from karyotyping.case.decision import Judgement, Outcome
from karyotyping.case.evidence import CloneEvidence
from karyotyping.nomenclature.cell_lines import Specimen, parse_lines
from karyotyping.nomenclature.iscn import parse_iscn
from training.evaluation.cases.plots import risk_png
from training.evaluation.cases.report import case_report, proportion, risk_curve
from training.evaluation.cases.truth import CaseTruth, LeftOut, TruthKind, as_copies, read_truths
from training.evaluation.cases.verdict import JudgedCase, Verdict, compare_case, edits_of, verdict_on


def truth_of(iscn: str, outcome: str = "") -> CaseTruth:
    return read_truths([{"case": "A", "iscn": iscn, "outcome": outcome}])[0]["A"]


def judged(karyotype: str, outcome: Outcome, posterior: float = 0.99) -> Judgement:
    clones = tuple(CloneEvidence(line.copies, (), (1,), (1,), posterior, True) for line in parse_lines(karyotype))
    return Judgement(outcome, "Invented.", clones=clones, posterior=posterior)


def case(truth: str, found: str, outcome: Outcome, posterior: float = 0.99) -> JudgedCase:
    judgement = judged(found, outcome, posterior)
    return compare_case(truth_of(truth), {}, judgement, images=3, specimen=Specimen.CONSTITUTIONAL)


@pytest.mark.parametrize(
    ("truth", "outcome", "found", "called", "verdict"),
    [
        ("46,XX", "", "46,XX", Outcome.NORMAL, Verdict.EXACT),
        ("46,XX", "", "46,XY", Outcome.NORMAL, Verdict.WRONG_KARYOTYPE),
        ("mos 47,XX,+8[2]/46,XX[8]", "", "47,XX,+8[9]/46,XX[1]", Outcome.ABNORMAL, Verdict.EXACT),
        ("mos 47,XX,+8[2]/46,XX[8]", "", "47,XX,+8", Outcome.ABNORMAL, Verdict.WRONG_KARYOTYPE),
        ("47,XY,+21", "", "46,XY", Outcome.NORMAL, Verdict.FALSE_NORMAL),
        ("46,XY", "", "47,XY,+21", Outcome.ABNORMAL, Verdict.FALSE_ABNORMAL),
        ("", "abnormal", "47,XY,+21", Outcome.ABNORMAL, Verdict.RIGHT_OUTCOME),
        ("", "abnormal", "46,XY", Outcome.NORMAL, Verdict.FALSE_NORMAL),
        ("47,XY,+21", "", "47,XY,+21", Outcome.SUSPECTED, Verdict.SUSPECTED),
        ("46,XY", "", "46,XY", Outcome.INSUFFICIENT, Verdict.INSUFFICIENT),
        ("46,XX,t(9;22)(q34;q11)", "", "46,XX", Outcome.NORMAL, Verdict.NOT_LOOKED_AT),
    ],
)
def test_verdicts(truth: str, outcome: str, found: str, called: Outcome, verdict: Verdict) -> None:
    assert verdict_on(truth_of(truth, outcome), judged(found, called)) == verdict


def test_figures_count_each_case_once() -> None:
    cases = [
        *[case("47,XY,+21", "47,XY,+21", Outcome.ABNORMAL)] * 6,
        case("47,XY,+21", "47,XY,+18", Outcome.ABNORMAL),
        case("47,XY,+21", "46,XY", Outcome.NORMAL),
        case("47,XY,+21", "46,XY", Outcome.SUSPECTED),
        *[case("46,XX", "46,XX", Outcome.NORMAL)] * 9,
        case("46,XX", "47,XX,+9", Outcome.ABNORMAL),
        case("46,XX", "46,XX", Outcome.INSUFFICIENT),
        *[case("46,XX,inv(9)(p12q13)", "46,XX", Outcome.NORMAL)] * 2,
    ]
    report = case_report(cases, [LeftOut("B", "Unreadable.")])
    figures = {name: (one["count"], one["of"]) for name, one in report["figures"].items()}  # type: ignore[index]
    assert figures == {
        "sensitivity": (7, 8),
        "specificity": (9, 10),
        "sensitivity_of_all": (7, 9),
        "specificity_of_all": (9, 11),
        "exact_iscn": (15, 18),
        "exact_iscn_of_all": (15, 20),
        "called": (18, 20),
        "suspected": (1, 20),
        "insufficient": (1, 20),
    }
    assert report["outcomes"]["not looked at"] == {"normal": 2, "abnormal": 0, "suspected": 0, "insufficient": 0}
    assert sum(report["verdicts"].values()) == report["judged"] == len(report["cases"]) == len(cases)
    assert report["left_out"] == [{"case": "B", "why": "Unreadable."}]


@pytest.mark.parametrize(
    ("count", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_are_those_of_the_literature(count: int, of: int, low: float, high: float) -> None:
    """Compare with Newcombe 1998, table I, method 3.

    DOI 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E.
    """
    one = proportion(count, of)
    assert (one["low"], one["high"]) == (low, high)


def test_a_share_of_no_case_is_no_number() -> None:
    assert proportion(0, 0) == {"count": 0, "of": 0, "share": None, "low": None, "high": None}


def test_cases_are_accepted_down_to_the_first_posterior_with_an_error() -> None:
    cases = [
        *(case("46,XX", "46,XX", Outcome.NORMAL, 0.99 + 0.001 * k) for k in range(5)),
        case("47,XX,+8", "46,XX", Outcome.NORMAL, 0.98),
        case("46,XX", "46,XX", Outcome.NORMAL, 0.97),
        *[case("46,XX", "46,XX", Outcome.SUSPECTED, 0.999)] * 2,
        case("46,XX,del(5)(q13)", "46,XX", Outcome.NORMAL, 0.9999),
    ]
    risk = case_report(cases)["risk"]
    assert risk["cases"] == 9
    best = risk["auto_accept"]
    assert (best["score"], best["accepted"], best["errors"]) == (0.99, 5, 0)
    assert best["coverage"] == pytest.approx(5 / 9)
    first, second = risk["table"][:2]
    assert (first["posterior"], first["accepted"], first["errors"]) == (0.95, 7, 1)
    assert (second["posterior"], second["accepted"], second["errors"]) == (0.99, 5, 0)
    assert not risk["is_shown"]
    assert risk_png(risk_curve(cases)).startswith(b"\x89PNG")


def test_a_tenth_of_a_percent_is_shown_by_2995_cases_without_an_error() -> None:
    one = case("46,XX", "46,XX", Outcome.NORMAL)
    assert case_report([one] * 2995)["risk"]["is_shown"]
    assert not case_report([one] * 2994)["risk"]["is_shown"]
    assert case_report([one])["risk"]["needed"] == 2995


def test_no_called_case_accepts_nothing() -> None:
    risk = case_report([case("46,XX", "46,XX", Outcome.SUSPECTED)])["risk"]
    assert risk["auto_accept"]["score"] is None
    assert [row["accepted"] for row in risk["table"]] == [0] * 5


def test_structural_cases_alone_make_a_report_without_figures() -> None:
    report = case_report([case("46,XX,del(5)(q13)", "46,XX", Outcome.NORMAL)])
    assert report["figures"]["called"] == proportion(0, 0)
    assert report["risk"]["cases"] == report["risk"]["auto_accept"]["accepted"] == 0
    assert report["outcomes"]["not looked at"]["normal"] == 1
    json.dumps(report, allow_nan=False)


def test_edits_are_counted_where_the_cell_is_known() -> None:
    normal = parse_iscn("46,XX")
    cells = {
        "a.png": CellSummary(1, normal, 46, 0.9),
        "b.png": CellSummary(2, {**normal, 21: 1, 22: 3, 7: 1}, 46, 0.9),  # 21 read as 22, and one without a class
        "c.png": CellSummary(3, normal, 46, 0.9, called=False),
    }
    found = judged("46,XX", Outcome.NORMAL)
    known = compare_case(truth_of("46,XX"), cells, found, images=4, specimen=Specimen.CONSTITUTIONAL)
    assert known.edits == (0, 2)
    report = case_report([known])
    assert (report["edits"]["cells"], report["edits"]["per_cell"], report["edits"]["without_edit"]["count"]) == (
        2,
        1,
        1,
    )
    assert (report["cases"][0]["analysed"], report["cases"][0]["images"]) == (3, 4)
    mosaic = truth_of("mos 47,XX,+8[1]/46,XX[1]")
    assert compare_case(mosaic, cells, found, images=3, specimen=Specimen.CONSTITUTIONAL).edits == ()


def test_an_edit_adds_deletes_or_renames() -> None:
    truth = as_copies({1: 2, 2: 2})
    assert edits_of(truth, CellSummary(1, {1: 2}, 2, 1)) == 2
    assert edits_of(truth, CellSummary(1, {1: 3, 2: 2, 3: 1}, 6, 1)) == 2
    assert edits_of(truth, CellSummary(1, {1: 3, 2: 1}, 4, 1)) == 1
    assert edits_of(truth, CellSummary(1, {1: 2, 2: 1}, 4, 1)) == 1


def test_kinds_of_truth_are_outcomes_that_can_be_called() -> None:
    assert {TruthKind.NORMAL.value, TruthKind.ABNORMAL.value} == {Outcome.NORMAL.value, Outcome.ABNORMAL.value}
