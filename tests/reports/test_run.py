"""The report of a run, written from a store and a database alone."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from sqlalchemy import select, update

from db.engine import SessionFactory
from db.queue import enqueue
from db.schema import Analysis, Case, CaseResult, Image, Pipeline
from reports.run import write_run_report
from storage import DirectoryStore


@pytest.fixture
def pipeline_id(session_factory: SessionFactory) -> int:
    with session_factory.begin() as session:
        pipeline = Pipeline(digest="d" * 64, name="null", document={})
        session.add(pipeline)
        session.flush()
        return pipeline.id


def add(
    sessions: SessionFactory,
    pipeline_id: int,
    name: str,
    artefacts: dict[str, str] | None,
    *,
    case: str | None = None,
    file_name: str | None = None,
    object_key: str = "none",
    bit_depth: int = 8,
) -> int:
    """The id of a new image of its own case, failed if it has no artefacts."""
    now = datetime.now(UTC)
    accession = case or f"case {name}"
    with sessions.begin() as session:
        case_row = Case(accession=accession)
        session.add(case_row)
        session.flush()
        image = Image(
            sha256=f"{name:0>64}",
            object_key=object_key,
            case_id=case_row.id,
            file_name=file_name or f"{name}.png",
            format="PNG",
            byte_count=1,
            width=9,
            height=9,
            bit_depth=bit_depth,
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
    key = store.put(b"image")
    ids = [
        add(session_factory, pipeline_id, name, artefacts, object_key=key)
        for name, artefacts in (("new", pictures), ("old", before), ("bad", None))
    ]
    folder = tmp_path / "report"
    with session_factory() as session:
        new, old, bad = write_run_report(session, store, folder, image_ids=ids, pipeline_id=pipeline_id, rejected=[])
    assert sorted(path.suffix for path in folder.glob("karyograms/*")) == [".png", ".png", ".svg"]
    assert len(list(folder.glob("overlays/*.png"))) == 2
    assert [path.read_bytes() for path in folder.glob("originals/*.png")] == [b"image"] * 2
    assert (new.original is None, bad.original) == (False, None)
    assert new.karyogram_svg is not None
    assert (folder / new.karyogram_svg).read_text() == "karyogram_svg"
    assert old.karyogram is not None
    assert (folder / old.karyogram).read_text() == "karyogram"
    assert (old.karyogram_svg, bad.karyogram, bad.karyogram_svg) == (None, None, None)
    page = (folder / "report.html").read_text()
    assert page.count("details (SVG)") == 1
    assert page.count(">image without outlines</a>") == 2
    assert f'href="{new.karyogram_svg.replace(" ", "%20")}"' in page


def test_an_image_of_16_bits_becomes_a_png_of_8_bits(
    session_factory: SessionFactory, pipeline_id: int, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "objects")
    pixels = np.array([[1000, 3000, 2000], [1000, 1000, 1000], [3000, 1000, 1000]], np.uint16).repeat(3, 0).repeat(3, 1)
    data = io.BytesIO()
    PILImage.fromarray(pixels).save(data, "TIFF")
    image_id = add(
        session_factory,
        pipeline_id,
        "deep",
        {"overlay": store.put(b"overlay")},
        object_key=store.put(data.getvalue()),
        bit_depth=16,
    )
    with session_factory() as session:
        (image,) = write_run_report(
            session, store, tmp_path / "report", image_ids=[image_id], pipeline_id=pipeline_id, rejected=[]
        )
    assert image.original is not None
    with PILImage.open(tmp_path / "report" / image.original) as original:
        assert (original.format, original.mode) == ("PNG", "L")
        assert np.asarray(original)[::3, ::3].tolist() == [[0, 255, 128], [0, 0, 0], [255, 0, 0]]


def test_pictures_of_different_cases_have_different_names(
    session_factory: SessionFactory, pipeline_id: int, tmp_path: Path
) -> None:
    store = DirectoryStore(tmp_path / "objects")
    cases = ["A/1", "A_1", "a_1", "A:1", "x" * 200, "x" * 199 + "/" + "y"]
    ids = [
        add(
            session_factory,
            pipeline_id,
            str(number),
            {"karyogram": store.put(case.encode()), "overlay": store.put(f"overlay {case}".encode())},
            case=case,
            file_name=f"{'long ' * 20}/cell.png",
            object_key=store.put(b"image"),
        )
        for number, case in enumerate(cases)
    ]
    with session_factory() as session:
        images = write_run_report(
            session, store, tmp_path / "report", image_ids=ids, pipeline_id=pipeline_id, rejected=[]
        )
    assert len({(image.karyogram or "").casefold() for image in images}) == len(cases)
    for image, case in zip(images, cases, strict=True):
        assert image.karyogram is not None
        assert (tmp_path / "report" / image.karyogram).read_text() == case


def test_a_report_holds_one_run(session_factory: SessionFactory, pipeline_id: int, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "objects")
    folder = tmp_path / "report"
    for name in ("first", "second"):
        image_id = add(session_factory, pipeline_id, name, {"karyogram": store.put(name.encode())})
        with session_factory() as session:
            write_run_report(session, store, folder, image_ids=[image_id], pipeline_id=pipeline_id, rejected=[])
        (picture,) = folder.glob("karyograms/*.png")
        assert picture.read_text() == name
    marker = json.loads((folder / "report.json").read_text())
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert written <= {*marker["files"], "report.json"}
    assert marker["pipeline"] == {"name": "null", "digest": "d" * 64}


def test_the_report_says_why_a_case_is_not_resolved_and_what_is_not_called(
    session_factory: SessionFactory, pipeline_id: int, tmp_path: Path
) -> None:
    results = {
        "47,XY,+21": {"resolution": "resolved", "voters": 4, "karyotype_agreement": 0.75, "why": "3 of 4 agree."},
        "46,XX": {"resolution": "one_cell", "voters": 1, "karyotype_agreement": 1.0, "why": "The case has one cell."},
        None: {"resolution": "not_resolved", "voters": 2, "karyotype_agreement": 0.5, "why": "Cells disagree."},
    }
    ids = []
    for name, (iscn, values) in zip("abc", results.items(), strict=True):
        ids.append(add(session_factory, pipeline_id, name, {}))
        with session_factory.begin() as session:
            image = session.get_one(Image, ids[-1])
            session.add(
                CaseResult(
                    case_id=image.case_id,
                    pipeline_id=pipeline_id,
                    state="done",
                    iscn=iscn,
                    modal_count=46,
                    count_min=44,
                    count_max=47,
                    **values,
                )
            )
            session.execute(update(Analysis).where(Analysis.image_id == ids[-1]).values(iscn=iscn))
    folder = tmp_path / "report"
    with session_factory() as session:
        write_run_report(
            session,
            DirectoryStore(tmp_path / "objects"),
            folder,
            image_ids=ids,
            pipeline_id=pipeline_id,
            rejected=[],
        )
    with (folder / "cases.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0])[:6] == ["case", "images", "cells", "modal_count", "iscn", "pipeline"]
    for row, (iscn, values) in zip(rows, results.items(), strict=True):
        assert row["iscn"] == (iscn or "")
        assert {name: row[name] for name in values} == {name: str(value) for name, value in values.items()}
        assert (row["count_min"], row["count_max"]) == ("44", "47")
    with (folder / "cells.csv").open(newline="") as stream:
        assert [row["iscn"] for row in csv.DictReader(stream)] == ["47,XY,+21", "46,XX", ""]
    page = (folder / "report.html").read_text()
    assert '<td><span class="karyotype">47,XY,+21</span><br><small class="muted">3 of 4 agree.</small></td>' in page
    assert "<td>46,XX (one cell)<br>" in page
    assert '<span class="muted">not resolved</span><br><small class="muted">Cells disagree.</small>' in page
    assert ("75 % of 4 cells" in page, "44 to 47" in page) == (True, True)
    assert page.count('<span class="muted">not called</span>') == 1
