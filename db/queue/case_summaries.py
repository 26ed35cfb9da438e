"""Which cases have to be summarised again, and the summary that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased

from db.queue.types import seconds
from db.schema import ACTIVE, Analysis, CaseResult, Image


def mark_stale(session: Session, analysis_ids: Sequence[int]) -> None:
    """Note that the cases of these analyses have to be summarised again."""
    if not analysis_ids:
        return
    cases = (
        select(Image.case_id, Analysis.pipeline_id)
        .join(Analysis, Analysis.image_id == Image.id)
        .where(Analysis.id.in_(analysis_ids))
        .distinct()
        .order_by(Image.case_id, Analysis.pipeline_id)  # the same order everywhere, so that nobody deadlocks
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
    """A case to be summarised, as of ``revision``."""

    case_id: int
    pipeline_id: int
    revision: int


def stale_cases(session: Session, limit: int, resend_seconds: float) -> list[StaleCase]:
    """Cases whose analyses have all ended since they were last summarised, and that nobody was asked about lately."""
    analysis, image = aliased(Analysis), aliased(Image)
    # A state per image, which PostgreSQL cannot but look up. A join it would, before it has statistics, make from all
    # that waits.
    state = (
        select(analysis.state)
        .where(analysis.image_id == image.id, analysis.pipeline_id == CaseResult.pipeline_id)
        .correlate(image, CaseResult)
        .scalar_subquery()
    )
    still_active = select(image.id).where(image.case_id == CaseResult.case_id, state.in_(ACTIVE)).exists()
    chosen = (
        select(CaseResult.case_id, CaseResult.pipeline_id)
        .where(
            CaseResult.state == "stale",
            or_(CaseResult.sent_at.is_(None), CaseResult.sent_at < func.now() - seconds(resend_seconds)),
            ~still_active,
        )
        .order_by(CaseResult.updated_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    sent = (
        update(CaseResult)
        .where(CaseResult.case_id == chosen.c.case_id, CaseResult.pipeline_id == chosen.c.pipeline_id)
        .values(sent_at=func.now())
        .returning(CaseResult.case_id, CaseResult.pipeline_id, CaseResult.revision)
    )
    return [StaleCase(*row) for row in session.execute(sent)]


def write_case(
    session: Session, stale: StaleCase, *, summary: Mapping[str, Any], artefacts: Mapping[str, str], **columns: Any
) -> bool:
    """Write the summary of a case; False if an analysis of it has ended since and another summary is due.

    Args:
        session: an open transaction.
        stale: the case, and the revision that was summarised.
        summary: the whole summary as JSON.
        artefacts: object keys by name.
        columns: ``image_count``, ``cell_count``, ``modal_count``, ``iscn``.
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
