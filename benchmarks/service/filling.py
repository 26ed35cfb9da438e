"""Pending images by the million, for benchmarks: PostgreSQL generates the rows."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from db import queue
from db.schema import Image

IMAGES_PER_CASE = 50
LABS = 20


def add_pending(session: Session, images: int, pipeline_id: int, priority: int, object_key: str = "none") -> None:
    """Add pending analyses of new images with the same bytes.

    Args:
        session: an open transaction.
        images: number of images, in cases of 50, of 20 laboratories in turn.
        pipeline_id: that analyses them.
        priority: of ``db.schema.Priority``.
        object_key: of their bytes.
    """
    session.execute(text("SET LOCAL statement_timeout = 0"))
    before = session.scalars(text("SELECT coalesce(max(id), 0) FROM karyo.images")).one()
    values = {"images": images, "per_case": IMAGES_PER_CASE, "labs": LABS, "key": object_key, "before": before}
    session.execute(
        text(
            """
            WITH new AS (
                INSERT INTO karyo.cases (accession, lab)
                SELECT format('B-%s-%s', CAST(:before AS bigint), n), format('lab %s', n % :labs)
                FROM generate_series(0, (:images - 1) / :per_case) n
                RETURNING id
            ), numbered AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM new)
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            SELECT 'bench-' || :before + n, :key, id, n || '.png', 'PNG', 1, 64, 64, 8
            FROM generate_series(0, :images - 1) n JOIN numbered ON number = n / :per_case
            ORDER BY n
            """
        ),
        values,
    )
    queue.enqueue_selected(session, select(Image.id).where(Image.id > before), pipeline_id, priority)
