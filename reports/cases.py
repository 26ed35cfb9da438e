"""Rows of the table of cases."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Case, CaseResult


class CaseRow(TypedDict):
    """One row of ``cases.csv``: a case and the result of one pipeline."""

    case: str
    images: int | None
    cells: int | None
    modal_count: int | None
    iscn: str | None
    """Empty if the case is not resolved."""
    pipeline: int
    resolution: str | None
    why: str | None
    voters: int | None
    karyotype_agreement: float | None
    count_min: int | None
    count_max: int | None


CASE_COLUMNS = tuple(CaseRow.__annotations__)


def case_rows(session: Session, case_ids: Collection[int], pipeline_id: int) -> list[CaseRow]:
    """Return the results of one pipeline for these cases, ordered by accession number."""
    query = (
        select(Case.accession, CaseResult)
        .join(CaseResult, CaseResult.case_id == Case.id)
        .where(Case.id.in_(case_ids), CaseResult.pipeline_id == pipeline_id)
        .order_by(Case.accession)
    )
    return [
        {
            "case": accession,
            "images": result.image_count,
            "cells": result.cell_count,
            "modal_count": result.modal_count,
            "iscn": result.iscn,
            "pipeline": result.pipeline_id,
            "resolution": result.resolution,
            "why": result.why,
            "voters": result.voters,
            "karyotype_agreement": result.karyotype_agreement,
            "count_min": result.count_min,
            "count_max": result.count_max,
        }
        for accession, result in session.execute(query)
    ]
