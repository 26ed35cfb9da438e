"""Stored cells with their corrections replayed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy.orm import Session

from db import reviews as stored
from db.reviews import StoredResult
from db.schema import Chromosome, Review
from karyotyping.review import RecordedReview, ReviewedCell, parse_correction, replay
from karyotyping.rows import ChromosomeRow


def to_recorded(reviews: Sequence[Review]) -> list[RecordedReview]:
    """Return rows of table ``reviews`` as corrections."""
    return [RecordedReview(review.id, parse_correction(review.action, review.detail)) for review in reviews]


def replay_result(session: Session, result: StoredResult, reviews: Sequence[RecordedReview]) -> ReviewedCell:
    """Return a stored cell after ``reviews``.

    Raises:
        RefusedReview: a correction does not fit.
    """
    rows = [_row(chromosome) for chromosome in stored.list_chromosomes(session, result.analysis.id)]
    unexplained = result.qc.unexplained_objects if result.qc else None
    return replay(rows, (result.image.height, result.image.width), reviews, unexplained_objects=unexplained)


def _row(chromosome: Chromosome) -> ChromosomeRow:
    columns = chromosome.__table__.columns.keys()
    return cast("ChromosomeRow", {name: getattr(chromosome, name) for name in columns if name != "analysis_id"})
