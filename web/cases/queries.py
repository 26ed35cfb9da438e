"""Queries for cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import RowMapping, Select, case, func, select, true
from sqlalchemy.orm import Session

from db.accessions import names_case
from db.pipelines import production_pipeline
from db.schema import Analysis, Case, CaseResult, Image, Pipeline, QcMetrics
from web.cases.schemas import CaseDetail, CaseImage, CaseListEntry, CaseResultView, PipelineReference


def list_cases(session: Session, limit: int, before: int | None = None) -> list[CaseListEntry]:
    """Return cases, the latest first, each with its result.

    The result is that of the production pipeline, else of the latest one.

    Args:
        session: An open session.
        limit: Largest number of cases.
        before: Only cases with a smaller ``id``: that of the last case on the previous page.
    """
    result = _result_of_case().where(CaseResult.case_id == Case.id).correlate(Case).lateral()
    images = select(func.count()).where(Image.case_id == Case.id).correlate(Case).scalar_subquery()
    query = (
        select(Case.id, Case.accession, Case.tissue, Case.created_at, images.label("images"), *result.c)
        .outerjoin(result, true())
        .order_by(Case.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Case.id < before)
    return [
        CaseListEntry(
            id=row.id,
            accession=row.accession,
            tissue=row.tissue,
            created_at=row.created_at,
            images=row.images,
            state=row.state or "waiting",
            iscn=row.iscn,
            modal_count=row.modal_count,
            cells=row.cell_count,
        )
        for row in session.execute(query)
    ]


def case_detail(session: Session, accession: str) -> CaseDetail | None:
    """Return the case that ``accession`` names with its images, the best quality first; None if there is none."""
    record = session.scalar(select(Case).where(names_case(accession)))
    if record is None:
        return None
    result = session.execute(_result_of_case().where(CaseResult.case_id == record.id)).mappings().first()
    pipeline_id = result["pipeline_id"] if result else session.scalar(production_pipeline())
    pipeline = session.get(Pipeline, pipeline_id) if pipeline_id is not None else None
    return CaseDetail(
        accession=record.accession,
        lab=record.lab,
        tissue=record.tissue,
        created_at=record.created_at,
        pipeline=PipelineReference(name=pipeline.name, digest=pipeline.digest) if pipeline else None,
        result=_result_view(result) if result else None,
        images=list(_images(session, record.id, pipeline_id)),
    )


def _result_of_case() -> Select[Any]:
    """Return the query for the result to show; the caller restricts it to one case."""
    production = production_pipeline().scalar_subquery()
    return (
        select(
            CaseResult.case_id,
            CaseResult.pipeline_id,
            CaseResult.state,
            CaseResult.iscn,
            CaseResult.modal_count,
            CaseResult.cell_count,
            CaseResult.summary,
            CaseResult.artefacts,
        )
        .order_by(case((CaseResult.pipeline_id == production, 0), else_=1), CaseResult.updated_at.desc())
        .limit(1)
    )


def _result_view(row: RowMapping) -> CaseResultView:
    return CaseResultView(
        state=row["state"],
        iscn=row["iscn"],
        modal_count=row["modal_count"],
        cells=row["cell_count"],
        summary=row["summary"],
        artefacts=sorted(row["artefacts"] or {}),
    )


def _images(session: Session, case_id: int, pipeline_id: int | None) -> Iterator[CaseImage]:
    query = (
        select(Image, Analysis, QcMetrics)
        .outerjoin(Analysis, (Analysis.image_id == Image.id) & (Analysis.pipeline_id == pipeline_id))
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(Image.case_id == case_id)
        .order_by(QcMetrics.score.desc().nulls_last(), Image.id)
    )
    for image, analysis, quality in session.execute(query):
        yield CaseImage(
            file_name=image.file_name,
            sha256=image.sha256,
            analysis_id=analysis.id if analysis else None,
            state=analysis.state if analysis else "not analysed",
            iscn=analysis.iscn if analysis else None,
            reason=analysis.reason if analysis else None,
            error=analysis.error if analysis else None,
            chromosome_count=quality.chromosome_count if quality else None,
            quality=round(quality.score, 3) if quality else None,
            flags=quality.flags if quality else [],
            artefacts=sorted((analysis.artefacts or {}) if analysis else {}),
        )
