"""The pipeline that this version ships, as a record of the database."""

from __future__ import annotations

from db import pipelines
from db.engine import SessionFactory
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from models import registry


def promote_shipped_pipeline(
    sessions: SessionFactory, classifier: Classifier | None = None, segmenter: Segmenter | None = None
) -> int:
    """Register the shipped pipeline, point the alias ``production`` to it, and return its id."""
    pipeline_id = register_shipped_pipeline(sessions, classifier, segmenter)
    with sessions.begin() as session:
        pipelines.set_alias(session, pipelines.PRODUCTION, pipeline_id)
    return pipeline_id


def register_shipped_pipeline(
    sessions: SessionFactory, classifier: Classifier | None = None, segmenter: Segmenter | None = None
) -> int:
    """Store the shipped pipeline and its models unless they are known, and return its id.

    Args:
        sessions: sessions on the database.
        classifier: classifier of the pipeline; default: the network.
        segmenter: segmenter of the pipeline; default: the network.
    """
    pipeline = Pipeline.default(classifier=classifier or Classifier.EMBEDDING, segmenter=segmenter or Segmenter.NETWORK)
    weights = [registry.by_digest(sha256) for sha256 in pipeline.document["models"].values()]
    models = [{"sha256": item.sha256, "name": item.name, "card": dict(item.card)} for item in weights]
    with sessions.begin() as session:
        return pipelines.register(session, pipeline.document, pipeline.digest, models)
