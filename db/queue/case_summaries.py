"""Case summaries: cases whose summary is due, and the writing of a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from db.clock import interval
from db.schema import ACTIVE, Analysis, CaseResult, Image


def mark_stale(session: Session, analysis_ids: Sequence[int]) -> None:
    """Mark the cases of these analyses stale, so that they are summarised again."""
    if not analysis_ids:
        return
    cases = (
        select(Analysis.case_id, Analysis.pipeline_id)
        .where(Analysis.id.in_(analysis_ids))
        .distinct()
        .order_by(Analysis.case_id, Analysis.pipeline_id)  # one order everywhere prevents deadlocks
    )
    session.execute(
        upsert(CaseResult)
        .from_select(["case_id", "pipeline_id"], cases)
        .on_conflict_do_update(
            index_elements=["case_id", "pipeline_id"],
            set_={"state": "stale", "revision": CaseResult.revision + 1, "sent_at": None},
        )
    )


class StaleCase(NamedTuple):
    """A case whose summary is due, as of ``revision``."""

    case_id: int
    pipeline_id: int
    revision: int


def stale_cases(session: Session, limit: int, resend_seconds: float) -> list[StaleCase]:
    """Return stale cases without active analyses, and record that their summaries are requested.

    Args:
        session: an open transaction.
        limit: most cases to return.
        resend_seconds: age of a request after which it is repeated.
    """
    analysis, image = aliased(Analysis), aliased(Image)
    # A scalar subquery per image forces an index lookup. Without statistics, the planner would start a join from all
    # active analyses.
    state = (
        select(analysis.state)
        .where(analysis.image_id == image.id, analysis.pipeline_id == CaseResult.pipeline_id)
        .correlate(image, CaseResult)
        .scalar_subquery()
    )
    still_active = select(image.id).where(image.case_id == CaseResult.case_id, state.in_(ACTIVE)).exists()
    due = (
        select(CaseResult.case_id, CaseResult.pipeline_id)
        .where(
            CaseResult.state == "stale",
            or_(CaseResult.sent_at.is_(None), CaseResult.sent_at < func.now() - interval(resend_seconds)),
            ~still_active,
        )
        .order_by(CaseResult.updated_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    sent = (
        update(CaseResult)
        .where(CaseResult.case_id == due.c.case_id, CaseResult.pipeline_id == due.c.pipeline_id)
        .values(sent_at=func.now())
        .returning(CaseResult.case_id, CaseResult.pipeline_id, CaseResult.revision)
    )
    return [StaleCase(*row) for row in session.execute(sent)]


def write_case(
    session: Session, stale: StaleCase, *, summary: Mapping[str, Any], artefacts: Mapping[str, str], **columns: Any
) -> bool:
    """Write the summary of a case unless another analysis of the case has ended since.

    Args:
        session: an open transaction.
        stale: the case, and the revision that was summarised.
        summary: the whole summary as JSON.
        artefacts: object keys by name.
        columns: values of further columns of ``case_results``, such as ``iscn`` and ``resolution``.

    Returns:
        Whether the summary was written; if not, a newer one is due.
    """
    written = (
        update(CaseResult)
        .where(
            CaseResult.case_id == stale.case_id,
            CaseResult.pipeline_id == stale.pipeline_id,
            CaseResult.revision == stale.revision,
        )
        .values(state="done", summary=dict(summary), artefacts=dict(artefacts), updated_at=func.now(), **columns)
    )
    return session.scalar(written.returning(CaseResult.case_id)) is not None
