"""Queries for cases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, defer

from db.accessions import names_case
from db.case_results import shown_pipeline
from db.pipelines import production_pipeline
from db.retention import describe_removed
from db.schema import Analysis, Case, CaseResult, Image, Pipeline, QcMetrics
from web.cases.schemas import CaseDetail, CaseImage, CaseListEntry, CaseResultView, Headline, PipelineReference


def list_cases(session: Session, limit: int, before: int | None = None) -> list[CaseListEntry]:
    """Return cases, the latest first, each with its last result.

    Args:
        session: An open session.
        limit: Largest number of cases.
        before: Only cases with a smaller ``id``: that of the last case on the previous page.
    """
    images = select(func.count()).where(Image.case_id == Case.id).correlate(Case).scalar_subquery()
    query = (
        _cases_with_results(images.label("images"))
        .options(defer(CaseResult.summary), defer(CaseResult.artefacts))
        .order_by(Case.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Case.id < before)
    production = session.scalar(production_pipeline())
    return [
        CaseListEntry(
            id=record.id,
            accession=record.accession,
            tissue=record.tissue,
            created_at=record.created_at,
            images=count,
            state=result.state if result else "waiting",
            pipeline=_reference(pipeline, production),
            **_headline(result),
        )
        for record, result, pipeline, count in session.execute(query)
    ]


def case_detail(session: Session, accession: str) -> CaseDetail | None:
    """Return the case that ``accession`` names with its images, or None."""
    row = session.execute(_cases_with_results().where(names_case(accession))).first()
    if row is None:
        return None
    record, result, pipeline = row
    production = session.scalar(production_pipeline())
    if pipeline is None and production is not None:
        pipeline = session.get(Pipeline, production)
    return CaseDetail(
        accession=record.accession,
        lab=record.lab,
        tissue=record.tissue,
        created_at=record.created_at,
        pipeline=_reference(pipeline, production),
        result=_result_view(result) if result else None,
        images=list(_images(session, record.id, pipeline.id if pipeline else None)),
    )


def _cases_with_results(*columns: ColumnElement[Any]) -> Select[Any]:
    """Return the query for cases, their shown results, pipelines and ``columns``."""
    return (
        select(Case, CaseResult, Pipeline, *columns)
        .select_from(Case)
        .outerjoin(CaseResult, (CaseResult.case_id == Case.id) & (CaseResult.pipeline_id == shown_pipeline()))
        .outerjoin(Pipeline, Pipeline.id == CaseResult.pipeline_id)
    )


def _reference(pipeline: Pipeline | None, production: int | None) -> PipelineReference | None:
    if pipeline is None:
        return None
    return PipelineReference(name=pipeline.name, digest=pipeline.digest, in_production=pipeline.id == production)


def _headline(result: CaseResult | None) -> dict[str, Any]:
    """Return the fields of ``Headline``."""
    fields = {name: getattr(result, name, None) for name in Headline.model_fields}
    return fields | {"cells": result.cell_count if result else None}


def _result_view(result: CaseResult) -> CaseResultView:
    return CaseResultView(
        state=result.state,
        summary=result.summary,
        artefacts=sorted(result.artefacts or {}),
        **_headline(result),
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
            unexplained_objects=quality.unexplained_objects if quality else None,
            quality=round(quality.score, 3) if quality else None,
            flags=quality.flags if quality else [],
            artefacts=sorted((analysis.artefacts or {}) if analysis else {}),
            removed=list(describe_removed(analysis.removed_artefacts if analysis else None).values()),
        )
