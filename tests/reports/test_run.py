"""The report of a run, written from a store and a database alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from db.engine import SessionFactory
from db.queue import enqueue
from db.schema import Analysis, Case, Image, Pipeline
from reports.run import write_run_report
from storage import DirectoryStore


@pytest.fixture
def pipeline_id(session_factory: SessionFactory) -> int:
    with session_factory.begin() as session:
        pipeline = Pipeline(digest="d" * 64, name="null", document={})
        session.add(pipeline)
        session.flush()
        return pipeline.id


def add(sessions: SessionFactory, pipeline_id: int, name: str, artefacts: dict[str, str] | None) -> int:
    """The id of a new image of its own case, failed if it has no artefacts."""
    now = datetime.now(UTC)
    with sessions.begin() as session:
        case = Case(accession=f"case {name}")
        session.add(case)
        session.flush()
        image = Image(
            sha256=f"{name:0>64}",
            object_key=f"key {name}",
            case_id=case.id,
            file_name=f"{name}.png",
            format="PNG",
            byte_count=1,
            width=9,
            height=9,
            bit_depth=8,
        )
        session.add(image)
        session.flush()
        enqueue(session, [image.id], pipeline_id, priority=1)
        analysis = session.scalars(select(Analysis).where(Analysis.image_id == image.id)).one()
        analysis.state, analysis.reason = "failed", "empty"
        analysis.attempts, analysis.started_at, analysis.finished_at = 1, now, now
        if artefacts is not None:
            analysis.state, analysis.reason, analysis.iscn, analysis.artefacts = "done", None, "46,XX", artefacts
        return image.id


def test_each_image_gets_the_pictures_of_its_analysis(
    session_factory: SessionFactory, pipeline_id: int, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "objects")
    pictures = {name: store.put(name.encode()) for name in ("karyogram", "karyogram_svg", "overlay")}
    before = {name: pictures[name] for name in ("karyogram", "overlay")}
    ids = [add(session_factory, pipeline_id, *row) for row in (("new", pictures), ("old", before), ("bad", None))]
    folder = tmp_path / "report"
    with session_factory() as session:
        new, old, bad = write_run_report(session, store, folder, image_ids=ids, pipeline_id=pipeline_id, rejected=[])
    assert sorted(path.suffix for path in folder.glob("karyograms/*")) == [".png", ".png", ".svg"]
    assert len(list(folder.glob("overlays/*.png"))) == 2
    assert new.karyogram_svg is not None
    assert (folder / new.karyogram_svg).read_text() == "karyogram_svg"
    assert old.karyogram is not None
    assert (folder / old.karyogram).read_text() == "karyogram"
    assert (old.karyogram_svg, bad.karyogram, bad.karyogram_svg) == (None, None, None)
    page = (folder / "report.html").read_text()
    assert page.count("details (SVG)") == 1
    assert f'href="{new.karyogram_svg.replace(" ", "%20")}"' in page
