"""Work comes in: (image, pipeline) pairs become pending, in the lane of their laboratory and a round of their case."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ARRAY, CTE, BigInteger, Select, Subquery, and_, exists, func, literal, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from db.notify import ring
from db.schema import Analysis, Case, Image, Lane

CASE_SHARE = 20
"""Images of a case that go in one round of its lane: about as many as a cytogeneticist looks at."""


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
    """``enqueue`` for the image ids that a query yields, however many.

    Cases of a lane go round by round, ``CASE_SHARE`` images in each, from the round that the lane is in: a case of
    thousands does not keep the next one waiting, and cases of the usual size are finished in the order they came in.
    """
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
    labs = select(literal(priority), missing.c.lab).distinct().order_by(missing.c.lab)
    session.execute(upsert(Lane).from_select(["priority", "lab"], labs).on_conflict_do_nothing())
    waiting = _waiting_by_case(missing, priority)
    place = func.coalesce(waiting.c.images, 0) + func.row_number().over(
        partition_by=missing.c.case_id, order_by=missing.c.image_id
    )
    values = {"pipeline_id": pipeline_id, "priority": priority, "campaign_id": campaign_id}
    pairs = (
        select(
            missing.c.image_id,
            *(literal(value, BigInteger) for value in values.values()),
            Lane.id,
            Lane.round + (place - 1) // CASE_SHARE,
        )
        .join(Lane, and_(Lane.priority == priority, Lane.lab == missing.c.lab))
        .outerjoin(waiting, waiting.c.case_id == missing.c.case_id)
        .order_by(missing.c.image_id)
    )
    inserted = (
        upsert(Analysis)
        .from_select(["image_id", *values, "lane_id", "round"], pairs)
        .on_conflict_do_nothing()
        .returning(Analysis.id)
        .cte("inserted")
    )
    count = session.scalars(select(func.count()).select_from(inserted)).one()
    if count:
        ring(session)
    return count


def _waiting_by_case(missing: CTE, priority: int) -> Subquery:
    """How many images of the cases of ``missing`` wait already."""
    return (
        select(Image.case_id, func.count().label("images"))
        .join(Analysis, Analysis.image_id == Image.id)
        .where(Image.case_id.in_(select(missing.c.case_id)), Analysis.state == "pending", Analysis.priority == priority)
        .group_by(Image.case_id)
        .subquery()
    )
