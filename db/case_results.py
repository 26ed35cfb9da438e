"""The result of a case that pages and reports show, and that people review and sign."""

from __future__ import annotations

from sqlalchemy import ScalarSelect, case, select
from sqlalchemy.orm import Session, aliased

from db.pipelines import production_pipeline
from db.schema import Case, CaseResult, Pipeline


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


def find_shown_pipeline(session: Session, case_id: int) -> Pipeline | None:
    """Return the pipeline whose result of a case is shown; None before the first result."""
    shown = select(shown_pipeline()).select_from(Case).where(Case.id == case_id)
    return session.scalars(select(Pipeline).where(Pipeline.id.in_(shown))).first()
