"""Measured speed of the analysis."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db.clock import interval, seconds_since
from db.schema import Analysis, State

SAMPLE_SIZE = 64  # latest images in a mean
WINDOW_SECONDS = 300.0


def seconds_per_image(session: Session, pipeline_id: int) -> float | None:
    """Return the mean computing time of a pipeline's latest images; None before the first."""
    latest = (
        select(Analysis.seconds)
        .where(Analysis.pipeline_id == pipeline_id, Analysis.state == State.DONE)
        .order_by(Analysis.finished_at.desc())
        .limit(SAMPLE_SIZE)
        .subquery()
    )
    return session.scalar(select(func.avg(latest.c.seconds)))


def throughput(session: Session, window_seconds: float = WINDOW_SECONDS) -> float | None:
    """Return the images per second that ended within the window; None if none did.

    The time counts from the first of them, so that the start of a fleet does not lower the figure.
    """
    count, span = session.execute(
        select(func.count(), seconds_since(func.min(Analysis.finished_at))).where(
            Analysis.finished_at > func.now() - interval(window_seconds)
        )
    ).one()
    return count / max(float(span), 1.0) if count else None
