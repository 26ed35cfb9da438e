"""Registration and promotion of the pipelines that this version ships."""

from __future__ import annotations

from sqlalchemy import select

from cli.shipped_pipeline import promote_shipped_pipeline, register_shipped_pipeline
from db import pipelines
from db.engine import SessionFactory
from db.pipelines import PRODUCTION
from db.schema import Model
from karyotyping.pipeline import Classifier, Pipeline


def test_both_classifiers_are_registered_and_the_promoted_one_is_production(session_factory: SessionFactory) -> None:
    shipped = promote_shipped_pipeline(session_factory)
    geometric = register_shipped_pipeline(session_factory, Classifier.GEOMETRIC)
    assert geometric != shipped
    with session_factory() as session:
        assert pipelines.resolve(session, PRODUCTION).id == shipped
        assert pipelines.resolve(session, "embedding").id == shipped
        assert pipelines.resolve(session, "geometric").id == geometric
        stored = pipelines.resolve(session, PRODUCTION).document
        assert {model.name: model.sha256 for model in session.scalars(select(Model))} == stored["models"]
    assert Pipeline.from_document(stored).digest == Pipeline.default().digest
    assert promote_shipped_pipeline(session_factory, Classifier.GEOMETRIC) == geometric
    with session_factory() as session:
        assert pipelines.resolve(session, PRODUCTION).id == geometric
