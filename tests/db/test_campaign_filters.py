"""The filter language: what matches, and where a mistake is."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text

from db.campaign_filters import MAX_DEPTH, OUTCOMES, BadFilter, build_condition
from db.campaigns import matching_images
from db.engine import SessionFactory
from db.schema import Case, Image
from karyotyping.case.decision import Outcome
from tests.support.two_pipelines import add_case, add_pipeline, add_results, sign_cases


@pytest.fixture
def sessions(session_factory: SessionFactory) -> SessionFactory:
    """Four cases of one image each; production has analysed two of them, another pipeline one."""
    add_case(session_factory, "A-1", lab="north", tissue="blood")
    add_case(session_factory, "A-2", lab="south", tissue="bone marrow")
    add_case(session_factory, "A-3", lab="south")
    add_case(session_factory, "A 4", tissue="blood")
    production = add_pipeline(session_factory, "production pipeline", "production")
    trisomy = {"A-1": "47,XX,+21"}
    add_results(session_factory, production, trisomy, summary={"outcome": "abnormal"}, score=0.9, flags=["crowded"])
    add_results(session_factory, production, {"A-2": "46,XX,t(9;22)(q34;q11.2)"}, chromosome_count=45, score=0.4)
    sign_cases(session_factory, production, {"A-2": "46,XX,t(9;22)(q34;q11.2)"})
    add_results(session_factory, add_pipeline(session_factory, "new"), {"A-3": "46,XX"})
    with session_factory.begin() as session:
        session.execute(
            text("UPDATE karyo.images SET created_at = timestamptz '2024-03-01 00:00Z' + id * interval '12 h'")
        )
        session.execute(text("UPDATE karyo.images SET captured_at = '2024-02-01 09:00Z' WHERE id = 1"))
    return session_factory


def cases(sessions: SessionFactory, where: str) -> str:
    """Return the last characters of the accession numbers that match."""
    with sessions() as session:
        query = select(Case.accession).join(Image).where(Image.id.in_(matching_images(session, {"where": [where]})))
        return "".join(sorted(accession[-1] for accession in session.scalars(query)))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("tissue=blood", "14"),
        ("tissue != blood", "23"),
        ('tissue="bone marrow"', "2"),
        ('case="A 4" or case=A-1', "14"),
        ("lab=south and not tissue=blood", "23"),
        ("not (lab=south or lab=north)", "4"),
        ("lab=north or lab=south and case=A-3", "13"),
        ("lab=north AND tissue=blood", "1"),
        ("received>=2024-03-02", "234"),
        ("received=2024-03-02", "23"),
        ("received<=2024-03-02", "123"),
        ("received>2024-03-02", "4"),
        ("received<2024-03-02T12:00:00+01:00", "12"),
        ("since=2024-03-02 and until=2024-03-03", "23"),
        ("captured<2024-03-01", "1"),
        ("not captured<2024-03-01", "234"),
        ("quality>=0.5", "1"),
        ("count=45", "2"),
        ("count!=45", "1"),
        ("flag=crowded", "1"),
        ("state=done", "12"),
        ("state=none", "34"),
        ("iscn=47,XX,+21", "1"),
        ('iscn="46,XX,t(9;22)(q34;q11.2)"', "2"),
        ("outcome=abnormal", "1"),
        ("outcome!=abnormal", "234"),
        ("signed=yes", "2"),
        ("signed=no", "134"),
        ("pipeline=production", "12"),
        ("pipeline=new", "3"),
        ("not pipeline=production and not pipeline=new", "4"),
    ],
)
def test_a_filter_selects_cases(sessions: SessionFactory, where: str, expected: str) -> None:
    assert cases(sessions, where) == expected


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ("", "at character 1: a condition is expected before the end"),
        ("tissue", "at character 7: one of = != < <= > >= is expected before the end"),
        ("tissue=", "at character 8: a value is expected before the end"),
        ("tissue=bone marrow", "at character 13: end of text is expected before 'marrow'"),
        ("tissue=blood and", "at character 17: a condition is expected before the end"),
        ("lab=a or or lab=b", "at character 10: a condition is expected before 'or lab=b'"),
        ("lab==a", "at character 5: a value is expected before '=a'"),
        ('lab="a', "at character 5: a value is expected"),
        ("lab=a and colour=red", "character 11: there is no field 'colour'; there are: case, lab, "),
        ("lab>a", "character 1: lab can be compared by = and != only, not by >"),
        ("lab=a and quality>good", "character 11: could not convert string to float: 'good'"),
        ("received>=soon", "character 1: Invalid isoformat string: 'soon'"),
        ("state=lost", "character 1: there is no state 'lost'; there are: none, pending"),
        ("outcome=good", "character 1: there is no outcome 'good'; there are: normal, abnormal, "),
        ("signed=maybe", "character 1: signed is yes or no, and not 'maybe'"),
        ("pipeline=absent", "character 1: there is no pipeline 'absent'"),
        ("lab=" + "a" * 2000, "a filter has at most 2000 characters, and this one has 2004"),
        ("(" * 21 + "lab=a", "at most 20 parentheses"),
    ],
)
def test_a_mistake_gets_a_sentence_with_its_place(sessions: SessionFactory, where: str, sentence: str) -> None:
    with sessions() as session, pytest.raises(BadFilter) as raised:
        build_condition(session, where)
    assert sentence in str(raised.value)


def test_parentheses_may_be_nested(sessions: SessionFactory) -> None:
    assert cases(sessions, "(" * MAX_DEPTH + "lab=north" + ")" * MAX_DEPTH) == "1"


def test_filters_of_earlier_versions_hold_values_by_field(sessions: SessionFactory) -> None:
    stored: dict[str, Any] = {"case": "A 4", "tissue": "blood"}
    with sessions() as session:
        assert len(session.scalars(matching_images(session, stored)).all()) == 1
        assert session.scalars(matching_images(session, {"lab": 'no "such" \\ lab (ü)'})).all() == []


def test_the_outcomes_are_those_of_the_science() -> None:
    assert list(OUTCOMES) == list(Outcome)
