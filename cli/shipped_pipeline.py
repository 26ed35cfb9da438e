"""The pipeline that this version ships, as a record of the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cli.current_user import current_user
from db import audit, pipeline_lifecycle, pipelines
from db.engine import SessionFactory
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from models import registry

AUTOMATIC = "shipped with this version"
"""Reason of a promotion that no person asked for, in the audit trail."""


def promote_shipped_pipeline(
    sessions: SessionFactory,
    classifier: Classifier | None = None,
    segmenter: Segmenter | None = None,
    because: str | None = None,
) -> int:
    """Register the shipped pipeline, point the alias ``production`` to it, and return its id."""
    pipeline_id = register_shipped_pipeline(sessions, classifier, segmenter)
    with sessions.begin() as session:
        pipeline_lifecycle.promote(session, pipeline_id, actor=current_user(), because=because)
    return pipeline_id


def promote_unless_chosen(sessions: SessionFactory) -> None:
    """Promote the shipped pipeline unless a person promoted one that can be run here.

    An installation that was upgraded cannot run the pipelines of the version before. It gets the shipped pipeline with
    the classifier and the segmenter of the one in production.
    """
    with sessions() as session:
        production = pipeline_lifecycle.current(session)
        moves = audit.list_events(session, pipeline_lifecycle.PROMOTED, pipeline_lifecycle.ROLLED_BACK)
    is_chosen = bool(moves) and moves[-1].detail.get("because") != AUTOMATIC
    if production is None:
        promote_shipped_pipeline(sessions, because=AUTOMATIC)
    elif "parameters" in production.document and not (is_chosen and _is_runnable(production.document)):
        parameters = production.document["parameters"]
        classifier = Classifier(parameters.get("classifier", Classifier.GEOMETRIC))
        segmenter = Segmenter(parameters.get("segmenter", Segmenter.GEOMETRIC))
        promote_shipped_pipeline(sessions, classifier, segmenter, because=AUTOMATIC)


def _is_runnable(document: Mapping[str, Any]) -> bool:
    try:
        Pipeline.from_document(document)
    except registry.ModelUnavailable:
        return False
    return True


def register_shipped_pipeline(
    sessions: SessionFactory,
    classifier: Classifier | None = None,
    segmenter: Segmenter | None = None,
    name: str | None = None,
) -> int:
    """Store the shipped pipeline and its models unless they are known, and return its id.

    Args:
        sessions: sessions on the database.
        classifier: classifier of the pipeline; default: the network.
        segmenter: segmenter of the pipeline; default: the network.
        name: name of the pipeline, a part of its document and so of its digest; default: that of the classifier.
    """
    pipeline = Pipeline.default(classifier=classifier or Classifier.EMBEDDING, segmenter=segmenter or Segmenter.NETWORK)
    if name:
        pipeline = Pipeline.from_document({**pipeline.document, "name": name})
    weights = [registry.by_digest(sha256) for sha256 in pipeline.document["models"].values()]
    models = [{"sha256": item.sha256, "name": item.name, "card": dict(item.card)} for item in weights]
    with sessions.begin() as session:
        return pipelines.register(session, pipeline.document, pipeline.digest, models)
