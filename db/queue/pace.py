"""How fast images are analysed, as measured."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.schema import Analysis

SAMPLE = 64
"""The latest images that a pace is measured on."""


def seconds_per_image(session: Session, pipeline_id: int) -> float | None:
    """Mean seconds of the latest images of a pipeline; None before the first."""
    latest = (
        select(Analysis.seconds)
        .where(Analysis.pipeline_id == pipeline_id, Analysis.state == "done")
        .order_by(Analysis.finished_at.desc())
        .limit(SAMPLE)
        .subquery()
    )
    return session.scalar(select(func.avg(latest.c.seconds)))
