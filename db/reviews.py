"""Corrections and sign-offs of cases: what is stored, and what they are made on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, column, func, select, table
from sqlalchemy.orm import Session

from db import pipelines
from db.reporting import REPORTING
from db.schema import Analysis, Case, Chromosome, Image, Pipeline, QcMetrics, Review, SignOff, State


class StoredResult(NamedTuple):
    """An analysis with its image, case and pipeline; ``qc`` is None before it is done."""

    analysis: Analysis
    image: Image
    case: Case
    pipeline: Pipeline
    qc: QcMetrics | None


def find_result(session: Session, analysis_id: int) -> StoredResult | None:
    """Return an analysis by its number; None if there is none."""
    return next(iter(_fetch(session, Analysis.id == analysis_id)), None)


def list_results(session: Session, case_id: int, pipeline_id: int) -> list[StoredResult]:
    """Return the analyses of a case by one pipeline, in any state, in order of their numbers."""
    return _fetch(session, Image.case_id == case_id, Analysis.pipeline_id == pipeline_id)


def _fetch(session: Session, *conditions: ColumnElement[bool]) -> list[StoredResult]:
    query = (
        select(Analysis, Image, Case, Pipeline, QcMetrics)
        .join(Image, Image.id == Analysis.image_id)
        .join(Case, Case.id == Image.case_id)
        .join(Pipeline, Pipeline.id == Analysis.pipeline_id)
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(*conditions)
        .order_by(Analysis.id)
    )
    rows = session.execute(query)
    return [StoredResult(analysis, image, case, pipeline, qc) for analysis, image, case, pipeline, qc in rows]


def count_images(session: Session, case_id: int) -> int:
    """Return the number of images of a case."""
    return session.scalars(select(func.count()).select_from(Image).where(Image.case_id == case_id)).one()


def find_successor(session: Session, analysis: Analysis) -> Analysis | None:
    """Return the result in production that supersedes ``analysis``; None if there is none."""
    done = select(Analysis).where(
        Analysis.image_id == analysis.image_id,
        Analysis.pipeline_id.in_(pipelines.production_pipeline()),
        Analysis.id != analysis.id,
        Analysis.state == State.DONE,
    )
    return session.scalars(done).first()


def list_chromosomes(session: Session, analysis_id: int) -> Sequence[Chromosome]:
    """Return the chromosomes of an analysis by number."""
    query = select(Chromosome).where(Chromosome.analysis_id == analysis_id).order_by(Chromosome.ordinal)
    return session.scalars(query).all()


def lock_case(session: Session, case_id: int) -> bool:
    """Make other reviews of the case wait; return False if the case was erased.

    They wait until the transaction ends. Ingest and workers do not wait.
    """
    return session.scalar(select(Case.id).where(Case.id == case_id).with_for_update(key_share=True)) is not None


def list_reviews(session: Session, analysis_ids: Collection[int]) -> dict[int, list[Review]]:
    """Return the reviews of each analysis, oldest first."""
    reviews: defaultdict[int, list[Review]] = defaultdict(list)
    query = select(Review).where(Review.analysis_id.in_(analysis_ids)).order_by(Review.id)
    for review in session.scalars(query):
        reviews[review.analysis_id].append(review)
    return reviews


def list_case_reviews(session: Session, case_id: int) -> Sequence[Review]:
    """Return the reviews of a case under every pipeline, oldest first."""
    return session.scalars(select(Review).where(Review.case_id == case_id).order_by(Review.id)).all()


def find_last_review(session: Session, case_id: int) -> int:
    """Return the number of the last review of a case under any pipeline; 0 for none."""
    return session.scalars(select(func.coalesce(func.max(Review.id), 0)).where(Review.case_id == case_id)).one()


def find_sign_off(session: Session, case: Case) -> tuple[SignOff, str] | None:
    """Return the last sign-off of a case and its state; None without one.

    The rule of the state is that of the view ``reporting.signed_results``.
    """
    last = select(SignOff).where(SignOff.case_id == case.id).order_by(SignOff.follows.desc()).limit(1)
    sign_off = session.scalars(last).first()
    if sign_off is None:
        return None
    view = table("signed_results", column("accession"), column("state"), schema=REPORTING)
    return sign_off, session.scalars(select(view.c.state).where(view.c.accession == case.accession)).one()
