"""Signed karyotypes: read, counted as structural, or left out by name."""

from __future__ import annotations

import pytest

from training.evaluation.cases.truth import TruthKind, as_copies, is_structural, read_truths


def row(iscn: str = "", outcome: str = "", case: str = "A", **more: str) -> dict[str, str]:
    return {"case": case, "iscn": iscn, "outcome": outcome, **more}


@pytest.mark.parametrize(
    ("iscn", "outcome", "kind", "lines"),
    [
        ("46,XX", "", TruthKind.NORMAL, 1),
        (" 46,XY[20] ", "Normal", TruthKind.NORMAL, 1),
        ("47,XY,+21", "abnormal", TruthKind.ABNORMAL, 1),
        ("mos  45,X[3]/46,XX[17]", "", TruthKind.ABNORMAL, 2),
        ("chi 46,XX[10]/46,XY[10]", "", TruthKind.ABNORMAL, 2),
        ("47,XX,+8[5]/48,idem,+9[3]/46,XX[2]", "", TruthKind.ABNORMAL, 3),
        ("", "abnormal", TruthKind.ABNORMAL, 0),
        ("46,XX,t(9;22)(q34;q11.2)", "abnormal", TruthKind.STRUCTURAL, 0),
        ("47,XX,+8,inv(16)(p13q22)[12]/46,XX[8]", "", TruthKind.STRUCTURAL, 0),
        ("46,XX,9qh+", "normal", TruthKind.STRUCTURAL, 0),
    ],
)
def test_readable_truths(iscn: str, outcome: str, kind: TruthKind, lines: int) -> None:
    truths, left_out = read_truths([row(iscn, outcome)])
    assert left_out == []
    assert (truths["A"].kind, len(truths["A"].lines)) == (kind, lines)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([row("47,XX")], "announces 47"),
        ([row("normal female")], "does not begin with a chromosome number"),
        ([row()], "neither a karyotype nor an outcome"),
        ([row("46,XX", "abnormal")], "contradicts '46,XX'"),
        ([row("46,XX", "fine")], "neither normal nor abnormal"),
        ([row("46,XX"), row("46,XY")], "more than one karyotype: '46,XX', '46,XY'"),
        ([row("45,XX,inc")], "incomplete"),
        ([row("t(9;22)")], "does not begin with a chromosome number"),
        ([row("46,XX", image_karyotype="46,QQ", path="a.png")], "no sex complement"),
    ],
)
def test_an_unreadable_truth_is_named(rows: list[dict[str, str]], why: str) -> None:
    truths, left_out = read_truths([*rows, row("46,XY", case="B")])
    assert set(truths) == {"B"}
    assert [one.case for one in left_out] == ["A"]
    assert why in left_out[0].why


STRUCTURAL = """
    add(7)(q22) del(5)(q13q33) +der(22)t(9;22) dup(1)(q21) i(17)(q10) ins(2)(p13q31) +mar +2mar r(7) rob(14;21)(q10;q10)
    ?del(20q) idic(X)(q28) hsr(8)(q24) 15ps+ Yqh- dic(5;17)(q11;p11)
"""


@pytest.mark.parametrize("change", STRUCTURAL.split())
def test_structural_symbols(change: str) -> None:
    assert is_structural(f"46,XX,{change}")
    assert is_structural(f"mos 46,XX[3]/46,XX,{change}[4]")


def test_copies_of_an_image_are_its_own_or_those_of_the_only_line() -> None:
    images = {"path": "a.png", "image_karyotype": "45,XX,-7"}
    truths, _ = read_truths([row("46,XX", **images), row("mos 47,XX,+8[1]/46,XX[1]", case="B")])
    assert truths["A"].of_image("a.png") == as_copies({**dict.fromkeys(range(1, 24), 2), 7: 1})
    assert truths["A"].of_image("b.png") == as_copies(dict.fromkeys(range(1, 24), 2))
    assert truths["B"].of_image("b.png") is None
