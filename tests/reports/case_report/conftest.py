"""Cases in a database, with the summary that a worker would write of their cells."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PILImage
from sqlalchemy import select

from db.engine import SessionFactory
from db.pipelines import PRODUCTION, register, set_alias
from db.queue import enqueue
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, QcMetrics
from karyotyping.case.cell import CellSummary
from karyotyping.case_summary import summarise
from storage import DirectoryStore

Copies = Mapping[int, int]
AddCase = Callable[..., None]

NORMAL: Copies = {**dict.fromkeys(range(1, 24), 2)}
TRISOMY: Copies = {**NORMAL, 21: 3}
CHIMERA: Copies = {**NORMAL, 23: 1, 24: 1}


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "objects")


@pytest.fixture
def add_case(session_factory: SessionFactory, store: DirectoryStore) -> AddCase:
    """Add a case with a cell for each karyotype, the first of the best quality."""
    with session_factory.begin() as session:
        pipeline_id = register(session, {"name": "embedding <1>"}, "d" * 64)
        set_alias(session, PRODUCTION, pipeline_id)
    return partial(_add, session_factory, store, pipeline_id)


def picture(value: int) -> bytes:
    target = io.BytesIO()
    PILImage.fromarray(np.full((30, 40), value, np.uint8)).save(target, "PNG")
    return target.getvalue()


def _add(
    sessions: SessionFactory,
    store: DirectoryStore,
    pipeline_id: int,
    accession: str,
    cells: Iterable[Copies],
    *,
    tissue: str | None = "blood",
    file_name: str = "cell {}.png",
    unexplained_objects: int = 0,
    failed: int = 0,
    called: bool = True,
    band_level: int | None = 600,
    atypical: int = 0,
) -> None:
    with sessions.begin() as session:
        case = Case(accession=accession, tissue=tissue, lab="lab <2>")
        session.add(case)
        session.flush()
        found = list(cells)
        ids = []
        for number in range(len(found) + failed):
            image = _image(accession, case.id, file_name.format(number + 1), number)
            session.add(image)
            session.flush()
            enqueue(session, [image.id], pipeline_id, priority=1)
            analysis = session.scalars(select(Analysis).where(Analysis.image_id == image.id)).one()
            analysis.attempts, analysis.started_at, analysis.finished_at = 1, datetime.now(UTC), datetime.now(UTC)
            if number >= len(found):
                analysis.state, analysis.reason, analysis.error = "failed", "empty", "Nothing <i>was</i> found."
                continue
            summary = CellSummary(
                analysis.id,
                found[number],
                sum(found[number].values()),
                0.95 - number / 100,
                called=called,
                band_level=band_level,
                outline_edits=number / 10,
                class_edits=0.1,
            )
            analysis.state, analysis.iscn = "done", summary.iscn if called else None
            analysis.artefacts = {
                name: store.put(picture(number + shade)) for name, shade in (("karyogram", 200), ("overlay", 100))
            }
            session.flush()
            session.add(_quality(summary, unexplained_objects))
            session.add(_chromosome(analysis.id, ["atypical_banding"] if number < atypical else []))
            ids.append(summary)
        summary = summarise(ids, tissue=tissue)
        session.add(
            CaseResult(
                case_id=case.id,
                pipeline_id=pipeline_id,
                state="done",
                summary=summary.to_json(),
                iscn=summary.iscn,
                resolution=summary.resolution,
                why=summary.why,
            )
        )


def _image(accession: str, case_id: int, file_name: str, number: int) -> Image:
    return Image(
        sha256=f"{accession}{number}",
        object_key="none",
        case_id=case_id,
        file_name=file_name,
        format="PNG",
        byte_count=1,
        width=40,
        height=30,
        bit_depth=8,
        banding="G",
        slide="S-1",
    )


def _quality(cell: CellSummary, unexplained_objects: int) -> QcMetrics:
    zeros = (
        "focus contrast noise background_unevenness spread chromosome_width cluster_count overlap_count nucleus_count "
        "debris_count edge_contact_count class_confidence"
    )
    return QcMetrics(
        analysis_id=cell.analysis_id,
        chromosome_count=cell.chromosome_count,
        contrast_polarity="dark_on_light",
        unexplained_objects=unexplained_objects,
        score=cell.quality_score,
        band_level=cell.band_level,
        band_level_low=cell.band_level and cell.band_level - 50,
        band_level_high=cell.band_level and cell.band_level + 50,
        outline_edits=cell.outline_edits,
        class_edits=cell.class_edits,
        flags=["crowded"],
        **dict.fromkeys(zeros.split(), 0),
    )


def _chromosome(analysis_id: int, flags: list[str]) -> Chromosome:
    """A chromosome whose class is to be checked."""
    return Chromosome(
        analysis_id=analysis_id,
        ordinal=0,
        box=[0, 0, 9, 9],
        mask="",
        class_id=1,
        class_score=0.6,
        score=0.9,
        top5_classes=[1],
        top5_scores=[0.6],
        length=9.0,
        width=3.0,
        orientation="p_up",
        flags=flags,
    )
