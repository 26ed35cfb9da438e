"""What the pages and the API read."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, case, func, select, true
from sqlalchemy.orm import Session

from db.schema import STATES, Analysis, Case, CaseResult, Image, Pipeline, PipelineAlias, QcMetrics

PRODUCTION = "production"


def production_pipeline(session: Session) -> int | None:
    """The pipeline that new images are analysed by."""
    return session.scalar(select(PipelineAlias.pipeline_id).where(PipelineAlias.alias == PRODUCTION))


def status(session: Session) -> dict[str, Any]:
    """Analyses by state, and how many cases and images there are."""
    counted = dict(session.execute(select(Analysis.state, func.count()).group_by(Analysis.state)).all())
    return {
        "analyses": {state: counted.get(state, 0) for state in STATES},
        "cases": session.scalar(select(func.count()).select_from(Case)),
        "images": session.scalar(select(func.count()).select_from(Image)),
    }


def cases(session: Session, limit: int, before: int | None = None) -> list[dict[str, Any]]:
    """Cases, the latest first, each with what the production pipeline, else the latest one, says of it.

    Args:
        before: only cases with a smaller ``id``: the last one of the page before.
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
        {
            "id": row.id,
            "accession": row.accession,
            "tissue": row.tissue,
            "created_at": row.created_at,
            "images": row.images,
            "state": row.state or "waiting",
            "iscn": row.iscn,
            "modal_count": row.modal_count,
            "cells": row.cell_count,
        }
        for row in session.execute(query)
    ]


def case_detail(session: Session, accession: str) -> dict[str, Any] | None:
    """A case with its result, its images ordered by quality, and which pipeline says so; ``None`` if unknown."""
    found = session.scalar(select(Case).where(Case.accession == accession))
    if found is None:
        return None
    result = session.execute(_result_of_case().where(CaseResult.case_id == found.id)).mappings().first()
    pipeline_id = result["pipeline_id"] if result else production_pipeline(session)
    pipeline = session.get(Pipeline, pipeline_id) if pipeline_id is not None else None
    return {
        "accession": found.accession,
        "lab": found.lab,
        "tissue": found.tissue,
        "created_at": found.created_at,
        "pipeline": {"name": pipeline.name, "digest": pipeline.digest} if pipeline else None,
        "result": {
            "state": result["state"],
            "iscn": result["iscn"],
            "modal_count": result["modal_count"],
            "cells": result["cell_count"],
            "summary": result["summary"],
            "artefacts": sorted(result["artefacts"] or {}),
        }
        if result
        else None,
        "images": _images(session, found.id, pipeline_id),
    }


def _result_of_case() -> Select[Any]:
    """The one result of a case to show; to be limited to the case by the caller or by correlation."""
    production = select(PipelineAlias.pipeline_id).where(PipelineAlias.alias == PRODUCTION).scalar_subquery()
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


def _images(session: Session, case_id: int, pipeline_id: int | None) -> list[dict[str, Any]]:
    query = (
        select(Image, Analysis, QcMetrics)
        .outerjoin(Analysis, (Analysis.image_id == Image.id) & (Analysis.pipeline_id == pipeline_id))
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(Image.case_id == case_id)
        .order_by(QcMetrics.score.desc().nulls_last(), Image.id)
    )
    return [
        {
            "file_name": image.file_name,
            "sha256": image.sha256,
            "analysis_id": analysis.id if analysis else None,
            "state": analysis.state if analysis else "not analysed",
            "iscn": analysis.iscn if analysis else None,
            "reason": analysis.reason if analysis else None,
            "error": analysis.error if analysis else None,
            "chromosome_count": quality.chromosome_count if quality else None,
            "quality": round(quality.score, 3) if quality else None,
            "flags": quality.flags if quality else [],
            "artefacts": sorted((analysis.artefacts or {}) if analysis else {}),
        }
        for image, analysis, quality in session.execute(query)
    ]
