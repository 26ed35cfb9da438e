"""Two pipelines over the same cases: what changes, and for whom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlalchemy import insert, select

from db import pipelines
from db.engine import SessionFactory
from db.result_pairs import MetricDelta, find_side
from db.schema import Campaign, Priority
from karyotyping.case.consequence import Consequence
from karyotyping.case.decision import Outcome
from reports.pipeline_diff import PipelineDiff, compare_sides, render_html, to_document, to_rows
from reports.tables import write_parquet
from tests.support.two_pipelines import add_case, add_pipeline, add_results, sign_cases

OLD = {"A-1": "47,XX,+21", "A-2": "46,XX", "A-3": "46,XY", "A-4": None, "A-5": "46,XX", "A-6": "47,XX,+8[3]/46,XX[17]"}
NEW = {"A-1": "46,XX", "A-2": "46,XY", "A-3": "46,XY", "A-4": "47,XY,+18", "A-6": "47,XX,+8", "A-7": "46,XX"}


@pytest.fixture
def sessions(session_factory: SessionFactory) -> SessionFactory:
    """Seven cases, of which five have a result of both pipelines."""
    for accession in sorted(OLD.keys() | NEW.keys()):
        add_case(session_factory, accession)
    add_results(session_factory, add_pipeline(session_factory, "old", "production"), OLD, seconds=4.0)
    add_results(session_factory, add_pipeline(session_factory, "new"), NEW, seconds=1.0, unexplained_objects=None)
    return session_factory


def compare(sessions: SessionFactory, before: str, after: str) -> PipelineDiff:
    with sessions() as session:
        return compare_sides(session, find_side(session, before), find_side(session, after), 0.02)


def test_cases_are_grouped_by_consequence_and_the_gravest_come_first(sessions: SessionFactory) -> None:
    diff = compare(sessions, "production", "new")
    assert [(change.case, change.consequence) for change in diff.cases] == [
        ("A-1", Consequence.BECAME_NORMAL),
        ("A-2", Consequence.SEX),
        ("A-6", Consequence.CLONE_LOST),
        ("A-4", Consequence.CALL_GAINED),
        ("A-3", Consequence.UNCHANGED),
    ]
    assert (diff.coverage.both, diff.coverage.only_before, diff.coverage.only_after) == (5, 1, 1)
    assert sum(diff.counts.values()) == 5


def test_the_other_direction_is_another_consequence(sessions: SessionFactory) -> None:
    first = compare(sessions, "new", "old").cases[0]
    assert (first.case, first.consequence) == ("A-1", Consequence.BECAME_ABNORMAL)


def test_metrics_are_means_over_common_images(sessions: SessionFactory) -> None:
    metrics = {metric.metric: metric for metric in compare(sessions, "old", "new").metrics}
    assert metrics["seconds"] == MetricDelta("seconds", 5, 4.0, 1.0, lower=5, higher=0)
    assert metrics["unexplained objects"] == MetricDelta("unexplained objects", 0, None, None, 0, 0)
    assert metrics["chromosome count"] == MetricDelta("chromosome count", 5, 46.0, 46.0, 0, 0)


def test_a_campaign_limits_the_comparison_to_its_cases(sessions: SessionFactory) -> None:
    third = add_pipeline(sessions, "third")
    with sessions.begin() as session:
        values = {"name": "trisomies", "pipeline_id": third, "filters": {}, "priority": Priority.BACKLOG}
        campaign = session.scalars(insert(Campaign).values(values).returning(Campaign.id)).one()
    add_results(sessions, third, {"A-1": "47,XX,+21"}, campaign_id=campaign)
    add_results(sessions, third, {"A-2": "46,XX"})
    for name in (str(campaign), "trisomies"):
        assert [change.case for change in compare(sessions, "old", name).cases] == ["A-1"]


def test_a_summary_that_names_its_outcome_is_believed(sessions: SessionFactory) -> None:
    third = add_pipeline(sessions, "third")
    add_results(sessions, third, {"A-2": None}, summary={"outcome": "suspected", "posterior": 0.7})
    (change,) = compare(sessions, "old", "third").cases
    assert (change.consequence, change.after.outcome) == (Consequence.CALL_LOST, Outcome.SUSPECTED)
    assert change.after.confidence == pytest.approx(0.7)


def test_unknown_sides_get_a_sentence(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        pipeline = session.scalars(select(pipelines.Pipeline.id)).first()
        values = {"name": "twice", "pipeline_id": pipeline, "filters": {}, "priority": Priority.BACKLOG}
        session.execute(insert(Campaign), [values, values])
        for name, sentence in {"9": "no campaign 9", "absent": "no pipeline 'absent'", "twice": "2 campaigns"}.items():
            with pytest.raises(pipelines.UnknownPipeline, match=sentence):
                find_side(session, name)


def test_html_json_and_parquet_hold_the_same_cases(sessions: SessionFactory, tmp_path: Path) -> None:
    diff = compare(sessions, "old", "new")
    page = render_html(diff)
    assert page.index("abnormal -&gt; normal (1)") < page.index("sex (1)")
    assert "http" not in page.replace('http-equiv="', "")
    document: dict[str, Any] = json.loads(json.dumps(to_document(diff)))
    assert document["consequences"]["abnormal -> normal"] == 1
    write_parquet(tmp_path / "diff.parquet", to_rows(diff))
    stored = pq.read_table(tmp_path / "diff.parquet").to_pylist()
    assert [(row["case"], row["before_iscn"]) for row in stored] == [
        (row["case"], row["before_iscn"]) for row in document["cases"]
    ]
    assert stored[0]["after_outcome"] == "normal"


def test_the_page_begins_with_what_the_signed_cases_say(sessions: SessionFactory) -> None:
    assert "nothing guards a promotion" in render_html(compare(sessions, "old", "new"))
    production = pipelines.PRODUCTION
    with sessions() as session:
        pipeline_id = pipelines.resolve(session, production).id
    sign_cases(sessions, pipeline_id, {"A-1": "47,XX,+21", "A-3": "46,XY"})
    diff = compare(sessions, production, "new")
    page = render_html(diff)
    assert diff.objection is not None
    assert diff.objection in page
    assert page.index("calls 1 of the signed abnormal cases normal") < page.index("abnormal -&gt; normal")
    assert [(row["case"], row["signed_iscn"]) for row in to_rows(diff)][:2] == [("A-1", "47,XX,+21"), ("A-2", None)]
    assert "forbid no promotion" in render_html(compare(sessions, "new", production))
