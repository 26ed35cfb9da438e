"""A pipeline that contradicts signed cases is not promoted without a reason."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from db import audit, pipelines
from db.engine import SessionFactory
from db.pipeline_lifecycle import PROMOTED
from tests.support.command_line import Karyo
from tests.support.two_pipelines import add_case, add_pipeline, add_results, sign_cases

CASES = [f"A-{number:02}" for number in range(50)]
TRUTH: dict[str, str | None] = {case: "47,XX,+21" if int(case[2:]) % 5 == 0 else "46,XX" for case in CASES}
SIGNED: dict[str, str] = {case: str(TRUTH[case]) for case in CASES[:20]}


@pytest.fixture
def laboratory(session_factory: SessionFactory) -> SessionFactory:
    """50 cases of a pipeline in production that is right; 20 of them are signed."""
    for case in CASES:
        add_case(session_factory, case)
    production = add_pipeline(session_factory, "old", "production")
    add_results(session_factory, production, TRUTH)
    sign_cases(session_factory, production, SIGNED)
    return session_factory


def add_candidate(sessions: SessionFactory, differences: Mapping[str, str | None], cases: list[str] = CASES) -> None:
    add_results(sessions, add_pipeline(sessions, "new"), {case: TRUTH[case] for case in cases} | differences)


def in_production(sessions: SessionFactory) -> str:
    with sessions() as session:
        return pipelines.resolve(session, "production").name


def test_a_pipeline_that_agrees_is_promoted(karyo: Karyo, laboratory: SessionFactory) -> None:
    add_candidate(laboratory, {"A-49": "47,XX,+13", "A-01": None})
    karyo("models", "promote", "new")
    with laboratory() as session:
        (event,) = audit.list_events(session, PROMOTED)
    figures = event.detail["signed_cases"]
    assert (figures["signed"], figures["no_call"], figures["compared"], figures["contradicted"]) == (20, 1, 19, [])


def test_one_abnormal_case_called_normal_forbids_the_promotion(karyo: Karyo, laboratory: SessionFactory) -> None:
    add_candidate(laboratory, {"A-05": "46,XX"})
    sentence = karyo("models", "promote", "new", code=1)[1].replace("\n", " ")
    assert "calls 1 of the signed abnormal cases normal" in sentence
    assert "A-05" in sentence
    assert in_production(laboratory) == "old"
    assert "calls 1 of" in karyo("models", "promote", "new", "--because", " ", code=1)[1].replace("\n", " ")


def test_a_share_of_contradictions_forbids_the_promotion(
    karyo: Karyo, laboratory: SessionFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_candidate(laboratory, {"A-01": "46,XY"})
    sentence = karyo("models", "promote", "new", code=1)[1].replace("\n", " ")
    assert "contradicts 1 of 20 signed cases (5.0 %, and 2 % may be): A-01." in sentence
    monkeypatch.setenv("KARYO_PROMOTION_CONTRADICTIONS", "0.05")
    karyo("models", "promote", "new")
    assert in_production(laboratory) == "new"


def test_a_reason_allows_it_and_the_audit_trail_keeps_both(karyo: Karyo, laboratory: SessionFactory) -> None:
    add_candidate(laboratory, {"A-05": "46,XX", "A-10": "46,XX", "A-01": "46,XY"})
    warning = karyo("models", "promote", "new", "--because", "A-05 was signed in error")[1]
    assert "calls 2 of the signed abnormal cases normal" in warning
    with laboratory() as session:
        (event,) = audit.list_events(session, PROMOTED)
    figures = event.detail["signed_cases"]
    assert event.detail["because"] == "A-05 was signed in error"
    assert (len(figures["contradicted"]), len(figures["became_normal"]), figures["limit"]) == (3, 2, 0.02)
    assert "A-05" not in str(figures)


def test_signed_cases_without_a_result_are_said(karyo: Karyo, laboratory: SessionFactory) -> None:
    add_candidate(laboratory, {}, CASES[:5])
    assert "no result of 15 of 20 signed cases" in karyo("models", "promote", "new")[1].replace("\n", " ")


def test_a_structural_abnormality_counts_only_where_production_sees_it(
    karyo: Karyo, laboratory: SessionFactory
) -> None:
    for case in ("B-1", "B-2"):
        add_case(laboratory, case)
    with laboratory() as session:
        production = pipelines.resolve(session, "production").id
    add_results(laboratory, production, {"B-1": "46,XX", "B-2": "45,XX,-14"})
    sign_cases(laboratory, production, {"B-1": "46,XX,t(9;22)(q34;q11.2)", "B-2": "45,XX,der(14;21)(q10;q10)"})
    add_candidate(laboratory, {"B-1": "46,XX", "B-2": "46,XX"})
    sentence = karyo("models", "promote", "new", code=1)[1].replace("\n", " ")
    assert "calls 1 of the signed abnormal cases normal: B-2." in sentence


def test_the_diff_shows_the_agreement_with_signed_cases(karyo: Karyo, laboratory: SessionFactory) -> None:
    add_candidate(laboratory, {"A-05": "46,XX", "A-49": None})
    lines = [line.split() for line in karyo("campaign", "diff", "old", "new")[0].splitlines()]
    assert ["contradicted", "0", "1"] in lines
    assert ["signed", "abnormal,", "called", "normal", "0", "1"] in lines
