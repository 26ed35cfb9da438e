"""Results of pipelines in the database, without a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update

from db import pipelines, queue
from db.engine import SessionFactory
from db.schema import Analysis, Case, CaseResult, Image, Priority, QcMetrics, SignOff

QC: dict[str, Any] = {
    "contrast_polarity": "dark_on_light",
    "chromosome_count": 46,
    "unexplained_objects": 1,
    "class_confidence": 0.8,
    "score": 0.7,
    "flags": [],
    **dict.fromkeys(("focus", "contrast", "noise", "background_unevenness", "spread", "chromosome_width"), 0.5),
    **dict.fromkeys(("cluster_count", "overlap_count", "nucleus_count", "debris_count", "edge_contact_count"), 0),
}


def add_pipeline(sessions: SessionFactory, name: str, alias: str | None = None) -> int:
    """Register a pipeline; its digest repeats the first letter of ``name``, in hexadecimal."""
    with sessions.begin() as session:
        digest = f"{ord(name[0]):02x}" * 32
        pipeline_id = pipelines.register(session, {"name": name, "code_version": "0", "models": {}}, digest)
        if alias:
            pipelines.set_alias(session, alias, pipeline_id)
    return pipeline_id


def add_case(sessions: SessionFactory, accession: str, **columns: Any) -> int:
    """Add a case with one image; return the id of the image."""
    with sessions.begin() as session:
        case = session.scalars(select(Case).where(Case.accession == accession)).first()
        case = case or Case(accession=accession, **columns)
        session.add(case)
        session.flush()
        image = Image(
            sha256=f"{case.id:064x}", object_key=f"sha256/{case.id}", case_id=case.id, file_name=f"{accession}.png",
            format="PNG", byte_count=1000, width=640, height=480, bit_depth=8,
        )  # fmt: skip
        session.add(image)
        session.flush()
        return image.id


def add_results(
    sessions: SessionFactory,
    pipeline_id: int,
    results: Mapping[str, str | None],
    *,
    seconds: float = 2.0,
    campaign_id: int | None = None,
    summary: Mapping[str, Any] | None = None,
    **qc: Any,
) -> None:
    """Give every case, by accession number, a karyotype by this pipeline; None is not resolved."""
    with sessions.begin() as session:
        images = {
            accession: (image_id, case_id)
            for image_id, case_id, accession in session.execute(
                select(Image.id, Case.id, Case.accession).join(Case).where(Case.accession.in_(results))
            )
        }
        ids = [image_id for image_id, _ in images.values()]
        queue.enqueue(session, ids, pipeline_id, Priority.ROUTINE, campaign_id)
        for accession, iscn in results.items():
            image_id, case_id = images[accession]
            done = {"state": "done", "attempts": 1, "finished_at": func.now(), "seconds": seconds, "iscn": iscn}
            of_image = (Analysis.image_id == image_id, Analysis.pipeline_id == pipeline_id)
            analysis_id = session.scalars(update(Analysis).where(*of_image).values(done).returning(Analysis.id)).one()
            session.add(QcMetrics(analysis_id=analysis_id, **(QC | qc)))
            session.add(
                CaseResult(
                    case_id=case_id,
                    pipeline_id=pipeline_id,
                    state="done",
                    iscn=iscn,
                    voters=5,
                    karyotype_agreement=0.8,
                    resolution="resolved" if iscn else "not_resolved",
                    summary=dict(summary or {}),
                    image_count=1,
                )
            )


def sign_cases(sessions: SessionFactory, pipeline_id: int, karyotypes: Mapping[str, str]) -> None:
    """Sign the results of a pipeline by one reader, with these karyotypes by accession number."""
    with sessions.begin() as session:
        for accession, iscn in karyotypes.items():
            case_id = session.scalars(select(Case.id).where(Case.accession == accession)).one()
            analyses = select(Analysis.id).join(Image).where(Image.case_id == case_id)
            ids = session.scalars(analyses.where(Analysis.pipeline_id == pipeline_id)).all()
            session.add(
                SignOff(
                    case_id=case_id,
                    pipeline_id=pipeline_id,
                    reader="Ada",
                    position=1,
                    required=1,
                    follows=0,
                    analysis_ids=list(ids),
                    last_review_id=0,
                    iscn=iscn,
                    result={"cell_count": 1},
                )
            )
