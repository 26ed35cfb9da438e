"""Enqueueing: (image, pipeline) pairs become pending analyses in laboratories' lanes."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ARRAY, CTE, BigInteger, Select, Subquery, and_, exists, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.notify import notify_schedulers
from db.pipelines import require_usable
from db.schema import Analysis, Case, Image, Lane, Priority, PriorityType, State

IMAGES_PER_ROUND = 20  # of one case in one round of its lane; about as many as a cytogeneticist examines


def enqueue(
    session: Session, image_ids: Sequence[int], pipeline_id: int, priority: Priority, campaign_id: int | None = None
) -> int:
    """Insert the missing (image, pipeline) pairs as pending analyses and return their number.

    Args:
        session: an open transaction.
        image_ids: in any order, also repeated.
        pipeline_id: the pipeline that analyses the images.
        priority: of the new analyses; known ones keep theirs.
        campaign_id: the campaign that asks for them.

    Raises:
        RetiredPipeline: no new analysis may use the pipeline.
    """
    # One array parameter: a list of rows would soon need more parameters than a statement may have.
    images = func.unnest(literal(sorted(set(image_ids)), ARRAY(BigInteger))).column_valued("image_id")
    return enqueue_selected(session, select(images), pipeline_id, priority, campaign_id)


def enqueue_selected(
    session: Session, images: Select[int], pipeline_id: int, priority: Priority, campaign_id: int | None = None
) -> int:
    """Enqueue the image ids that a query yields, as ``enqueue`` does.

    A lane runs round by round, with ``IMAGES_PER_ROUND`` images of each case in a round. So a case of thousands delays
    the next one by one round, and cases of the usual size finish in the order of their arrival.
    """
    require_usable(session, pipeline_id)
    keep_cases(session)
    chosen = images.subquery()
    lab = func.coalesce(Case.lab, "")
    known = exists().where(Analysis.image_id == chosen.c[0], Analysis.pipeline_id == pipeline_id)
    missing = (
        select(Image.id.label("image_id"), Image.case_id, lab.label("lab"))
        .join(chosen, chosen.c[0] == Image.id)
        .join(Case, Case.id == Image.case_id)
        .where(~known)
        .cte("missing")
    )
    labs = select(literal(priority, PriorityType), missing.c.lab).distinct().order_by(missing.c.lab)
    session.execute(upsert(Lane).from_select(["priority", "lab"], labs).on_conflict_do_nothing())
    pending = _pending_by_case(missing, priority)
    place = func.coalesce(pending.c.images, 0) + func.row_number().over(
        partition_by=missing.c.case_id, order_by=missing.c.image_id
    )
    values = {"pipeline_id": pipeline_id, "priority": priority, "campaign_id": campaign_id}
    pairs = (
        select(
            missing.c.image_id,
            missing.c.case_id,
            *(literal(value, BigInteger) for value in values.values()),
            Lane.id,
            Lane.round + (place - 1) // IMAGES_PER_ROUND,
        )
        .join(Lane, and_(Lane.priority == priority, Lane.lab == missing.c.lab))
        .outerjoin(pending, pending.c.case_id == missing.c.case_id)
        .order_by(missing.c.image_id)
    )
    inserted = (
        upsert(Analysis)
        .from_select(["image_id", "case_id", *values, "lane_id", "round"], pairs)
        .on_conflict_do_nothing()
        .returning(Analysis.id)
        .cte("inserted")
    )
    count = session.scalars(select(func.count()).select_from(inserted)).one()
    if count:
        notify_schedulers(session)
    return count


def keep_cases(session: Session) -> None:
    """Keep every case until the transaction ends; waits for an erasure that is under way.

    So what a query selects next is still there when rows that refer to it are inserted.
    """
    session.execute(text("LOCK TABLE karyo.cases IN ROW SHARE MODE"))


def _pending_by_case(missing: CTE, priority: Priority) -> Subquery:
    """Count the pending images of the cases in ``missing``."""
    pending = and_(Analysis.state == State.PENDING, Analysis.priority == priority)
    return (
        select(Image.case_id, func.count().label("images"))
        .join(Analysis, Analysis.image_id == Image.id)
        .where(Image.case_id.in_(select(missing.c.case_id)), pending)
        .group_by(Image.case_id)
        .subquery()
    )
