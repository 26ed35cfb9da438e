"""Work that waits: into the queue, and out of it towards the broker."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, Select, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.schema import Analysis


def enqueue(
    session: Session, image_ids: Sequence[int], pipeline_id: int, priority: int, campaign_id: int | None = None
) -> int:
    """Make the missing (image, pipeline) pairs pending; how many were missing."""
    # One array parameter: a list of rows would soon need more parameters than a statement may have.
    images = func.unnest(literal(sorted(set(image_ids)), ARRAY(BigInteger))).column_valued("image_id")
    return enqueue_selected(session, select(images), pipeline_id, priority, campaign_id)


def enqueue_selected(
    session: Session, images: Select[int], pipeline_id: int, priority: int, campaign_id: int | None = None
) -> int:
    """``enqueue`` for the image ids that a query yields, however many."""
    chosen = images.subquery()
    values = {"pipeline_id": pipeline_id, "priority": priority, "campaign_id": campaign_id}
    pairs = select(chosen.c[0], *(literal(value, BigInteger) for value in values.values())).order_by(chosen.c[0])
    missing = upsert(Analysis).from_select(["image_id", *values], pairs).on_conflict_do_nothing()
    inserted = missing.returning(Analysis.id).cte("inserted")
    return session.scalars(select(func.count()).select_from(inserted)).one()


def claim(session: Session, limit: int, max_queued: int) -> list[int]:
    """Take up to ``limit`` pending analyses, the most urgent first, while fewer than ``max_queued`` are queued.

    Schedulers that claim at the same instant count before they see each other, so each may fill the same room.
    """
    queued = session.scalars(select(func.count()).where(Analysis.state == "queued")).one()
    room = min(limit, max_queued - queued)
    if room <= 0:
        return []
    chosen = (
        select(Analysis.id)
        .where(Analysis.state == "pending")
        .order_by(Analysis.priority, Analysis.id)
        .limit(room)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    claimed = update(Analysis).where(Analysis.id == chosen.c.id).values(state="queued", queued_at=func.now())
    return sorted(session.scalars(claimed.returning(Analysis.id)))


def unclaim(session: Session, analysis_ids: Sequence[int]) -> int:
    """Give back what was claimed and could not be published; how many were still queued."""
    back = update(Analysis).where(Analysis.id.in_(analysis_ids), Analysis.state == "queued")
    return len(session.scalars(back.values(state="pending", queued_at=None).returning(Analysis.id)).all())
