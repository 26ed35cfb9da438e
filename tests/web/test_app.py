from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image as PillowImage
from sqlalchemy import func, select

from db.engine import SessionFactory
from db.queue import enqueue
from db.schema import Analysis, ApiKey, Case, CaseResult, Image, Pipeline, PipelineAlias, QcMetrics
from settings import Settings
from storage import DirectoryStore
from web import create_app

Open = Callable[..., AbstractContextManager[TestClient]]


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "objects")


@pytest.fixture
def open_app(postgres_url: str, redis_url: str, tmp_path: Path, store: DirectoryStore) -> Open:
    @contextmanager
    def opened(*, embedded: bool = True, host: str = "127.0.0.1", **changes: object) -> Iterator[TestClient]:
        values = {
            "embedded": embedded,
            "database_url": postgres_url,
            "broker_url": redis_url,
            "object_store": (tmp_path / "objects").as_uri(),
        }
        settings = Settings.model_validate(values | changes)
        with TestClient(create_app(settings), base_url=f"http://{host}") as client:
            yield client

    return opened


def png(seed: int = 0, side: int = 96) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def quality(analysis_id: int, score: float) -> QcMetrics:
    return QcMetrics(
        analysis_id=analysis_id,
        chromosome_count=47,
        contrast_polarity="dark_on_light",
        focus=1.0,
        contrast=1.0,
        noise=0.1,
        background_unevenness=0.1,
        spread=1.0,
        chromosome_width=12.0,
        cluster_count=0,
        overlap_count=0,
        nucleus_count=0,
        debris_count=0,
        edge_contact_count=0,
        class_confidence=0.9,
        score=score,
        flags=["out_of_focus"] if score < 0.5 else [],
    )


@pytest.fixture
def pipeline_id(session_factory: SessionFactory) -> int:
    with session_factory.begin() as session:
        pipeline = Pipeline(digest="d" * 64, name="geometry", document={})
        session.add(pipeline)
        session.flush()
        session.add(PipelineAlias(alias="production", pipeline_id=pipeline.id))
        return pipeline.id


@pytest.fixture
def analysed(session_factory: SessionFactory, store: DirectoryStore, pipeline_id: int) -> list[int]:
    """Case ``A/slide 1`` with two analysed images, the second one better, and one that failed; the analyses' ids."""
    now = datetime.now(UTC)
    with session_factory.begin() as session:
        case = Case(accession="A/slide 1", tissue="blood <b>")
        session.add(case)
        session.flush()
        ids = []
        for number, score in enumerate((0.4, 0.8, None)):
            image = Image(
                sha256=f"{number:064}",
                object_key=f"sha256/00/{number:062}",
                case_id=case.id,
                file_name=f"cell {number}.png",
                format="PNG",
                byte_count=1,
                width=96,
                height=96,
                bit_depth=8,
            )
            session.add(image)
            session.flush()
            enqueue(session, [image.id], pipeline_id, priority=1)
            analysis = session.scalars(select(Analysis).where(Analysis.image_id == image.id)).one()
            analysis.attempts, analysis.started_at, analysis.finished_at = 1, now, now
            if score is None:
                analysis.state, analysis.reason, analysis.error = "failed", "empty", "Nothing was found."
            else:
                analysis.state, analysis.iscn = "done", "47,XY,+21"
                analysis.artefacts = {"karyogram": store.put(png(number))}
                if number == 1:  # the other analysis is from before there were drawings
                    analysis.artefacts["karyogram_svg"] = store.put(b'<svg xmlns="http://www.w3.org/2000/svg"/>')
            session.flush()
            ids.append(analysis.id)
            if score is not None:
                session.add(quality(analysis.id, score))
        session.add(
            CaseResult(
                case_id=case.id,
                pipeline_id=pipeline_id,
                state="done",
                cell_count=2,
                modal_count=47,
                iscn="47,XY,+21",
                summary={"count_distribution": {"46": 1, "47": 2}},
            )
        )
    return ids


def test_health_and_readiness(open_app: Open) -> None:
    with open_app() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"database": "ok", "broker": "ok", "object_store": "ok"}


def test_readiness_names_what_is_missing_and_tells_no_secret(open_app: Open) -> None:
    with open_app(broker_url="redis://:hush@127.0.0.1:1/0") as client:
        ready = client.get("/readyz")
    assert ready.status_code == 503
    assert ready.json()["database"] == "ok"
    assert ready.json()["broker"].startswith("failed")
    assert "hush" not in ready.text


def test_pages_without_any_case(open_app: Open) -> None:
    with open_app() as client:
        page = client.get("/")
        assert client.get("/static/style.css").status_code == 200
        assert client.get("/cases/nobody").status_code == 404
    assert page.status_code == 200
    assert "karyo ingest" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_pages_of_a_case(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        index = client.get("/").text
        page = client.get("/cases/A/slide%201").text
    assert "47,XY,+21" in index
    assert 'href="/cases/A/slide%201"' in index
    assert page.index("cell 1.png") < page.index("cell 0.png") < page.index("Nothing was found.")
    assert f'src="/objects/analyses/{analysed[1]}/karyogram"' in page
    assert page.count("/karyogram_svg") == page.count(f'href="/objects/analyses/{analysed[1]}/karyogram_svg"') == 1
    assert "blood &lt;b&gt;" in page
    assert "out of focus" in page
    assert 'value="2"' in page


def test_the_api_says_the_same(open_app: Open, analysed: list[int]) -> None:
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


def test_the_production_pipeline_speaks_for_a_case(
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


def test_objects_are_artefacts_and_nothing_else(open_app: Open, analysed: list[int]) -> None:
    address = f"/objects/analyses/{analysed[0]}/karyogram"
    with open_app() as client:
        found = client.get(address)
        again = client.get(address, headers={"If-None-Match": found.headers["etag"]})
        assert client.get(f"/objects/analyses/{analysed[0]}/overlay").status_code == 404
        assert client.get("/objects/analyses/999999/karyogram").status_code == 404
        assert client.get("/objects/sha256/00/" + "0" * 62).status_code == 404
    assert found.headers["content-type"] == "image/png"
    assert found.content == png(0)
    assert again.status_code == 304


def test_a_drawing_may_show_its_own_pictures_and_load_nothing(open_app: Open, analysed: list[int]) -> None:
    with open_app() as client:
        drawing = client.get(f"/objects/analyses/{analysed[1]}/karyogram_svg")
        assert client.get(f"/objects/analyses/{analysed[0]}/karyogram_svg").status_code == 404
    assert drawing.headers["content-type"] == "image/svg+xml"
    policy = drawing.headers["content-security-policy"]
    assert "default-src 'none'; img-src data:;" in policy
    assert "sandbox" in policy


def send(client: TestClient, *files: tuple[str, bytes], **fields: str) -> tuple[int, dict[str, object]]:
    answer = client.post(
        "/api/v1/images", data={"case": "C1"} | fields, files=[("files", (name, data)) for name, data in files]
    )
    return answer.status_code, answer.json()


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
        assert (analysis.pipeline_id, analysis.priority, image.file_name.endswith("a.png")) == (pipeline_id, 0, True)


def test_uploads_that_are_refused(open_app: Open, pipeline_id: int) -> None:
    with open_app(max_image_bytes=20_000) as client:
        assert send(client, ("a.png", b"no image"))[0] == 422
        assert send(client, ("a.png", png()), case=" ")[0] == 422
        assert send(client, ("a.png", png()), priority="now")[0] == 422
        assert send(client, ("a.png", png()), lab="a\nb")[0] == 422
        assert send(client)[0] == 422
        assert send(client, ("a.png", b"x" * 50_000))[0] == 413
        assert client.post("/api/v1/images", content=iter([b"x"])).status_code == 411


def test_no_upload_without_a_pipeline(open_app: Open) -> None:
    with open_app() as client:
        code, answer = send(client, ("a.png", png()))
    assert code == 503
    assert "pipeline" in str(answer["detail"])


def test_configured_writes_need_a_key(open_app: Open, pipeline_id: int, session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        for key, scopes, revoked in (
            ("good", ["write"], None),
            ("old", ["write"], datetime.now(UTC)),
            ("reader", ["read"], None),
        ):
            digest = sha256(key.encode()).hexdigest()
            session.add(ApiKey(name=key, key_sha256=digest, scopes=scopes, revoked_at=revoked))
    with open_app(embedded=False, host="karyo.lab") as client:
        codes = {}
        for key in ("", "wrong", "old", "reader", "good"):
            client.headers["Authorization"] = f"Bearer {key}"
            codes[key] = send(client, ("a.png", png(2)))[0]
        assert client.get("/api/v1/status").status_code == 200
    assert codes == {"": 401, "wrong": 401, "old": 401, "reader": 403, "good": 201}
    with session_factory() as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 1


def test_pages_of_others_cannot_write_or_read_through_a_browser(open_app: Open, pipeline_id: int) -> None:
    with open_app() as client:
        assert client.get("/api/v1/cases", headers={"Host": "evil.example"}).status_code == 421
        client.headers["Origin"] = "https://evil.example"
        assert send(client, ("a.png", png()))[0] == 403
        client.headers["Origin"] = "http://127.0.0.1"
        assert send(client, ("a.png", png()))[0] == 201


def test_the_schema_of_the_api_is_published(open_app: Open) -> None:
    with open_app() as client:
        paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/v1/images", "/api/v1/cases", "/api/v1/status", "/healthz", "/readyz"} <= set(paths)
