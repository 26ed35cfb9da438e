"""Cases in the API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update

from db.engine import SessionFactory
from db.schema import Case, CaseResult, Pipeline, PipelineAlias
from tests.support.web import Open

HEADLINE = [
    "iscn",
    "resolution",
    "why",
    "modal_count",
    "voters",
    "karyotype_agreement",
    "count_min",
    "count_max",
    "cells",
]


def test_the_api_returns_the_same_case(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        detail = client.get("/api/v1/cases/A/slide 1").json()
        status = client.get("/api/v1/status").json()
        assert client.get("/api/v1/cases", params={"before": case["id"]}).json() == []
        assert client.get("/api/v1/cases/nobody").status_code == 404
    assert (case["accession"], case["iscn"], case["images"]) == ("A/slide 1", "47,XY,+21", 3)
    assert [image["analysis_id"] for image in detail["images"]] == [analysed[1], analysed[0], analysed[2]]
    expected = {
        "iscn": "47,XY,+21",
        "resolution": "resolved",
        "why": "2 of 2 cells with 47 chromosomes agree exactly.",
        "modal_count": 47,
        "voters": 2,
        "karyotype_agreement": 1.0,
        "count_min": 46,
        "count_max": 47,
        "cells": 2,
    }
    assert {name: detail["result"][name] for name in HEADLINE} == expected
    assert {name: case[name] for name in HEADLINE} == expected
    assert status["analyses"]["done"] == 2
    assert status["analyses"]["failed"] == 1


def test_the_api_keeps_its_keys(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        detail = client.get("/api/v1/cases/A/slide 1").json()
    assert list(case) == [*HEADLINE, "id", "accession", "tissue", "created_at", "images", "state", "pipeline"]
    assert list(detail) == ["accession", "lab", "tissue", "created_at", "pipeline", "result", "images"]
    assert list(detail["pipeline"]) == ["name", "digest", "in_production"]
    assert list(detail["result"]) == [*HEADLINE, "state", "summary", "artefacts"]
    assert detail["result"]["summary"] == {"count_distribution": {"46": 1, "47": 2}}
    assert list(detail["images"][0]) == (
        [
            "file_name",
            "sha256",
            "analysis_id",
            "state",
            "iscn",
            "reason",
            "error",
            "chromosome_count",
            "unexplained_objects",
            "quality",
            "flags",
            "artefacts",
            "removed",
        ]
    )
    assert datetime.fromisoformat(case["created_at"]).tzinfo


def test_the_result_of_the_production_pipeline_is_that_of_the_case(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        other = Pipeline(digest="e" * 64, name="newer", document={})
        session.add(other)
        session.flush()
        case_id = session.scalars(select(Case.id)).one()
        session.add(result(case_id, other.id, "46,XX"))
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
    assert case["iscn"] == "47,XY,+21"
    assert case["pipeline"] == {"name": "geometry", "digest": "d" * 64, "in_production": True}


def test_the_last_result_stays_until_the_pipeline_in_production_has_one(
    open_app: Open, analysed: list[int], session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        promoted = Pipeline(digest="e" * 64, name="newer", document={})
        session.add(promoted)
        session.flush()
        case_id = session.scalars(select(Case.id)).one()
        session.execute(update(PipelineAlias).values(pipeline_id=promoted.id))
        session.add(CaseResult(case_id=case_id, pipeline_id=promoted.id, state="stale"))
    former = {"name": "geometry", "digest": "d" * 64, "in_production": False}
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        detail = client.get("/api/v1/cases/A/slide 1").json()
        assert "by geometry" in client.get("/").text
        page = client.get("/cases/A/slide%201").text
    assert (case["iscn"], case["state"], case["pipeline"]) == ("47,XY,+21", "done", former)
    assert (detail["result"]["iscn"], detail["pipeline"]) == ("47,XY,+21", former)
    assert [image["state"] for image in detail["images"]] == ["done", "done", "failed"]
    assert "a pipeline that is not in production" in page
    with session_factory.begin() as session:
        session.execute(
            update(CaseResult)
            .where(CaseResult.pipeline_id == promoted.id)
            .values(state="done", summary={}, resolution="not_resolved", why="No image of the case has a result.")
        )
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        page = client.get("/cases/A/slide%201").text
    assert (case["iscn"], case["resolution"], case["pipeline"]["name"]) == (None, "not_resolved", "newer")
    assert "not in production" not in page


def test_every_case_shows_its_own_result(
    open_app: Open, analysed: list[int], pipeline_id: int, session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        other = Case(accession="B")
        session.add(other)
        session.flush()
        session.add(result(other.id, pipeline_id, "46,XX"))
    with open_app() as client:
        listed = {case["accession"]: case["iscn"] for case in client.get("/api/v1/cases").json()}
    assert listed == {"A/slide 1": "47,XY,+21", "B": "46,XX"}


def result(case_id: int, pipeline_id: int, iscn: str) -> CaseResult:
    return CaseResult(
        case_id=case_id, pipeline_id=pipeline_id, state="done", iscn=iscn, resolution="resolved", summary={}
    )
