"""The result of a case that pages and reports show."""

from __future__ import annotations

from sqlalchemy import ScalarSelect, case, select
from sqlalchemy.orm import aliased

from db.pipelines import production_pipeline
from db.schema import Case, CaseResult


def shown_pipeline() -> ScalarSelect[int]:
    """Return the subquery for the pipeline whose result of a case is shown.

    ``Case`` is that of the outer query. A summary of the production pipeline comes first, then the latest
    summary of another.
    """
    candidate = aliased(CaseResult)
    return (
        select(candidate.pipeline_id)
        .where(candidate.case_id == Case.id)
        .order_by(
            candidate.summary.is_(None),
            case((candidate.pipeline_id == production_pipeline().scalar_subquery(), 0), else_=1),
            candidate.updated_at.desc(),
        )
        .limit(1)
        .correlate(Case)
        .scalar_subquery()
    )
