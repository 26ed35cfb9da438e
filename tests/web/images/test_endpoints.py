"""Upload of images."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db.engine import SessionFactory
from db.schema import Analysis, Case, Image, IngestBatch
from tests.support.web import Open, png, send


def test_an_upload_is_ingested(open_app: Open, pipeline_id: int, session_factory: SessionFactory) -> None:
    with open_app() as client:
        code, first = send(client, ("../../a.png", png(1)), ("b.tif", b"no image"), priority="stat", lab="north")
        _, second = send(client, ("again.png", png(1)))
    assert code == 201
    assert (first["new"], first["duplicate"], second["new"], second["duplicate"]) == (1, 0, 0, 1)
    assert "b.tif" in str(first["rejected"])
    with session_factory() as session:
        analysis = session.scalars(select(Analysis)).one()
        image = session.get_one(Image, analysis.image_id)
        assert session.get_one(Case, image.case_id).lab == "north"
        assert (analysis.pipeline_id, analysis.priority, image.file_name) == (pipeline_id, 0, "a.png")
        batches = session.execute(select(IngestBatch.kind, IngestBatch.source).order_by(IngestBatch.id)).all()
        assert [tuple(batch) for batch in batches] == [("upload", "2 uploaded files"), ("upload", "1 uploaded file")]


def test_unusable_uploads_are_refused(open_app: Open, pipeline_id: int) -> None:
    with open_app(max_image_bytes=20_000) as client:
        assert send(client, ("a.png", b"no image"))[0] == 422
        assert send(client, ("a.png", png()), case=" ")[0] == 422
        assert send(client, ("a.png", png()), priority="now")[0] == 422
        assert send(client, ("a.png", png()), lab="a\nb")[0] == 422
        assert send(client)[0] == 422
        assert send(client, ("a.png", b"x" * 50_000))[0] == 413
        assert client.post("/api/v1/images", content=iter([b"x"])).status_code == 411


def test_an_upload_without_a_pipeline_is_refused(open_app: Open) -> None:
    with open_app() as client:
        code, answer = send(client, ("a.png", png()))
    assert code == 503
    assert "pipeline" in str(answer["detail"])


def test_an_upload_contradicts_no_known_case(open_app: Open, pipeline_id: int, session_factory: SessionFactory) -> None:
    with open_app() as client:
        assert send(client, ("a.png", png(1)), lab="north")[0] == 201
        code, other_case = send(client, ("a.png", png(1)), case="C2")
        assert code == 422
        assert "known_in_other_case" in str(other_case)
        code, mixed = send(client, ("a.png", png(1)), ("b.png", png(2)), case="C2")
        assert (code, mixed["new"]) == (201, 1)
        assert "known_in_other_case" in str(mixed["rejected"])
        code, other_lab = send(client, ("c.png", png(3)), lab="south")
        assert code == 422
        assert "other_laboratory" in str(other_lab)
        assert send(client, ("a.png", png(1)), tissue="blood", banding="GTG")[0] == 201
        assert "other_banding" in str(send(client, ("a.png", png(1)), banding="RBA")[1])
    with session_factory() as session:
        assert session.scalars(select(Case.accession).order_by(Case.id)).all() == ["C1", "C2"]


@pytest.mark.parametrize("field", ["case", "lab", "priority"])
def test_a_field_that_is_given_twice_is_refused(open_app: Open, pipeline_id: int, field: str) -> None:
    with open_app() as client:
        answer = client.post(
            "/api/v1/images",
            data={"case": "C1"} | {field: ["stat", "stat"]},
            files=[("files", ("a.png", png()))],
        )
    assert answer.status_code == 422
    assert field in answer.json()["detail"]
    assert "once" in answer.json()["detail"]


@pytest.mark.parametrize("case", ["a//b", "/a", "a/../b", "a\\b", "a\u200bb", "x" * 201, " "])
def test_an_unusable_accession_number_is_refused(open_app: Open, pipeline_id: int, case: str) -> None:
    with open_app() as client:
        code, answer = send(client, ("a.png", png()), case=case)
    assert code == 422
    assert "case" in str(answer["detail"])


def test_images_without_a_suffix_are_stored_and_texts_counted(open_app: Open, pipeline_id: int) -> None:
    with open_app() as client:
        code, answer = send(client, ("first", png(1)), ("second", png(2)), ("notes", b"text"), ("a.xml", b"<a/>"))
        assert (code, answer["new"], answer["rejected"]) == (201, 2, [])
        assert answer["passed_over"] == {"text": 1, ".xml": 1}
        code, answer = send(client, ("notes.txt", b"text"))
    assert code == 422
    assert "'passed_over': {'.txt': 1}" in str(answer["detail"])
