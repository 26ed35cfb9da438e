"""How fast images are analysed, as measured."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.queue.types import seconds
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


def throughput(session: Session, window_seconds: float = 300.0) -> float | None:
    """Images that ended per second within the last minutes; None if none did.

    Counted from the first of them, so that a fleet that has just started is not told to be slow.
    """
    count, span = session.execute(
        select(func.count(), func.extract("epoch", func.now() - func.min(Analysis.finished_at))).where(
            Analysis.finished_at > func.now() - seconds(window_seconds)
        )
    ).one()
    return count / max(float(span), 1.0) if count else None
