"""Consequences of changed results, as a laboratory director reads them."""

from __future__ import annotations

import pytest

from karyotyping.case.consequence import CaseCall, Consequence, consequence, is_numerical, outcome_of
from karyotyping.case.decision import Outcome


def call(iscn: str | None, resolution: str = "resolved", **figures: float) -> CaseCall:
    return CaseCall(outcome_of(iscn, resolution), iscn, **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("47,XX,+21", "46,XX", Consequence.BECAME_NORMAL),
        ("45,X", "46,XX", Consequence.BECAME_NORMAL),
        ("46,XX", "47,XX,+21", Consequence.BECAME_ABNORMAL),
        ("46,XX[20]", "45,XX,-7[4]/46,XX[16]", Consequence.BECAME_ABNORMAL),
        ("46,XX", "46,XY", Consequence.SEX),
        ("47,XX,+21", "47,XY,+21", Consequence.SEX),
        ("47,XXY", "47,XYY", Consequence.SEX),
        ("45,X", "47,XXX", Consequence.SEX),
        ("47,XX,+8[5]/46,XX[15]", "47,XX,+8[20]", Consequence.CLONE_LOST),
        ("45,XX,-7[5]/47,XX,+8[5]/46,XX[10]", "47,XX,+8[5]/46,XX[15]", Consequence.CLONE_LOST),
        ("47,XX,+21", "mos 45,XX,-21[5]/46,XX[15]", Consequence.CLONE_LOST),
        ("47,XX,+8", "mos 47,XX,+8[5]/46,XX[15]", Consequence.CLONE_GAINED),
        ("47,XX,+21", "48,XX,+8,+21", Consequence.COUNT),
        ("47,XX,+18", "47,XX,+21", Consequence.OTHER_KARYOTYPE),
        ("46,XX,t(9;22)(q34;q11.2)", "46,XX,del(5)(q13q33)", Consequence.OTHER_KARYOTYPE),
        ("46,XX", None, Consequence.CALL_LOST),
        (None, "47,XX,+13", Consequence.CALL_GAINED),
        ("47,XX,+8[3]/46,XX[17]", "mos 47,XX,+8[3]/46,XX[17]", Consequence.UNCHANGED),
        ("46,XY", "46,XY", Consequence.UNCHANGED),
        ("45,X,-Y[5]/46,XY[15]", "mos 45,X[5]/46,XY[15]", Consequence.UNCHANGED),
        ("47,XX,+8[5]/48,idem,+9[3]", "48,XX,+8,+9[3]/47,XX,+8[5]", Consequence.UNCHANGED),
        ("47,XX,+21c", "47,XX,+21c", Consequence.UNCHANGED),
        (None, None, Consequence.UNCHANGED),
    ],
)
def test_the_consequence_is_what_a_director_calls_it(
    before: str | None, after: str | None, expected: Consequence
) -> None:
    assert consequence(call(before), call(after)) is expected


def test_the_karyotype_of_one_cell_is_no_call() -> None:
    one_cell = call("47,XX,+21", "one_cell")
    assert consequence(call("47,XX,+21"), one_cell) is Consequence.CALL_LOST
    assert consequence(one_cell, call("46,XX", "one_cell")) is Consequence.NO_CALL


def test_a_suspicion_is_no_call_and_its_end_is_said() -> None:
    suspected = CaseCall(Outcome.SUSPECTED, None)
    assert consequence(call("46,XX"), suspected) is Consequence.CALL_LOST
    assert consequence(suspected, call(None)) is Consequence.NO_CALL


def test_a_chimera_of_two_normal_lines_is_abnormal() -> None:
    assert outcome_of("46,XX[10]/46,XY[10]") is Outcome.ABNORMAL


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"confidence": 0.95, "voters": 10}, {"confidence": 0.8, "voters": 10}, Consequence.CONFIDENCE),
        ({"confidence": 0.95, "voters": 10}, {"confidence": 0.95, "voters": 7}, Consequence.CONFIDENCE),
        ({"confidence": 0.95}, {}, Consequence.CONFIDENCE),
        ({"confidence": 0.95, "voters": 10}, {"confidence": 0.9501, "voters": 10}, Consequence.UNCHANGED),
    ],
)
def test_figures_alone_change_only_the_confidence(
    old: dict[str, float], new: dict[str, float], expected: Consequence
) -> None:
    assert consequence(call("46,XX", **old), call("46,XX", **new)) is expected


def test_only_calls_contradict_each_other() -> None:
    contradictions = {one for one in Consequence if one.is_contradiction}
    assert contradictions == set(list(Consequence)[:7])


def test_sex_and_autosomes_that_change_together_are_no_matter_of_sex_alone() -> None:
    assert consequence(call("47,XX,+21"), call("47,XY,+18")) is Consequence.OTHER_KARYOTYPE
    assert consequence(call("47,XX,+21"), call("46,XY,-7,+8")) is Consequence.COUNT


@pytest.mark.parametrize(
    ("iscn", "expected"),
    [
        ("46,XX", True),
        ("mos 45,X[5]/46,XX[15]", True),
        ("45,X,-Y", True),
        ("48,XX,+8,+21c/49,idem,+X/46,XX", True),
        ("45,XX,der(14;21)(q10;q10)", False),
        ("47,XX,+mar", False),
        ("46,XX,inv(9)(p12q13)", False),
    ],
)
def test_karyotypes_of_whole_chromosomes_are_numerical(iscn: str, expected: bool) -> None:
    assert is_numerical(iscn) is expected
