"""Cases in the API."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from db.engine import SessionFactory
from db.schema import Case, CaseResult, Pipeline
from tests.support.web import Open


def test_the_api_returns_the_same_case(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        detail = client.get("/api/v1/cases/A/slide 1").json()
        status = client.get("/api/v1/status").json()
        assert client.get("/api/v1/cases", params={"before": case["id"]}).json() == []
        assert client.get("/api/v1/cases/nobody").status_code == 404
    assert (case["accession"], case["iscn"], case["images"]) == ("A/slide 1", "47,XY,+21", 3)
    assert [image["analysis_id"] for image in detail["images"]] == [analysed[1], analysed[0], analysed[2]]
    assert detail["result"]["modal_count"] == 47
    assert status["analyses"]["done"] == 2
    assert status["analyses"]["failed"] == 1


def test_the_api_keeps_its_keys(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
        detail = client.get("/api/v1/cases/A/slide 1").json()
    assert list(case) == ["id", "accession", "tissue", "created_at", "images", "state", "iscn", "modal_count", "cells"]
    assert list(detail) == ["accession", "lab", "tissue", "created_at", "pipeline", "result", "images"]
    assert list(detail["pipeline"]) == ["name", "digest"]
    assert list(detail["result"]) == ["state", "iscn", "modal_count", "cells", "summary", "artefacts"]
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
            "quality",
            "flags",
            "artefacts",
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
        session.add(CaseResult(case_id=case_id, pipeline_id=other.id, state="done", iscn="46,XX"))
    with open_app() as client:
        (case,) = client.get("/api/v1/cases").json()
    assert case["iscn"] == "47,XY,+21"


def test_every_case_shows_its_own_result(
    open_app: Open, analysed: list[int], pipeline_id: int, session_factory: SessionFactory
) -> None:
    with session_factory.begin() as session:
        other = Case(accession="B")
        session.add(other)
        session.flush()
        session.add(CaseResult(case_id=other.id, pipeline_id=pipeline_id, state="done", iscn="46,XX"))
    with open_app() as client:
        listed = {case["accession"]: case["iscn"] for case in client.get("/api/v1/cases").json()}
    assert listed == {"A/slide 1": "47,XY,+21", "B": "46,XX"}
