"""The application on a real PostgreSQL and Redis, and a case to show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from db.engine import SessionFactory
from db.queue import enqueue
from db.schema import Analysis, Case, CaseResult, Image, Pipeline, PipelineAlias, QcMetrics
from settings import Settings
from storage import DirectoryStore
from tests.support.web import Open, png
from web import create_app


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
        unexplained_objects=0,
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
    """Case ``A/slide 1`` with two analysed images and one that failed; the analyses' ids."""
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
                resolution="resolved",
                why="2 of 2 cells with 47 chromosomes agree exactly.",
                voters=2,
                karyotype_agreement=1.0,
                count_min=46,
                count_max=47,
                summary={"count_distribution": {"46": 1, "47": 2}},
            )
        )
    return ids
