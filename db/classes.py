"""Classes of stored chromosomes, by analysis."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from db.schema import Chromosome


class StoredClass(NamedTuple):
    """Class of one chromosome, and the likeliest ones before assignment."""

    class_id: int | None
    score: float
    """Probability of the class, 0..1."""
    likeliest: tuple[tuple[int, float], ...]
    """Class ids and probabilities, most probable first."""
    outline_score: float
    """Probability that the outline is one chromosome, 0..1."""
    touches: bool
    """Whether it touches another chromosome."""


def list_classes(session: Session, analysis_ids: Collection[int]) -> dict[int, list[StoredClass]]:
    """Return the classes of all chromosomes of each analysis."""
    query = select(
        Chromosome.analysis_id,
        Chromosome.class_id,
        Chromosome.class_score,
        Chromosome.top5_classes,
        Chromosome.top5_scores,
        Chromosome.score,
        literal("touching") == Chromosome.flags.any_(),
    ).where(Chromosome.analysis_id.in_(analysis_ids))
    result: dict[int, list[StoredClass]] = {analysis_id: [] for analysis_id in analysis_ids}
    for analysis_id, class_id, score, top_classes, top_scores, outline_score, touches in session.execute(query):
        likeliest = tuple(zip(top_classes, top_scores, strict=True))
        result[analysis_id].append(StoredClass(class_id, score, likeliest, outline_score, touches))
    return result
