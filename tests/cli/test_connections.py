"""What the database learns of the pipelines that this version ships."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from cli.connections import Services, promote_shipped_pipeline, register_shipped_pipeline
from db import pipelines
from db.engine import SessionFactory
from db.pipelines import PRODUCTION
from db.schema import Model
from karyotyping.pipeline import Classifier, Pipeline
from settings import Settings
from storage import DirectoryStore


def test_either_classifier_is_registered_and_one_is_production(session_factory: SessionFactory, tmp_path: Path) -> None:
    found = Services(Settings(), session_factory, DirectoryStore(tmp_path), check=lambda: None)
    shipped = promote_shipped_pipeline(found)
    geometric = register_shipped_pipeline(found, Classifier.GEOMETRIC)
    assert geometric != shipped
    with session_factory() as session:
        assert pipelines.resolve(session, PRODUCTION).id == shipped
        assert pipelines.resolve(session, "embedding").id == shipped
        assert pipelines.resolve(session, "geometric").id == geometric
        stored = pipelines.resolve(session, PRODUCTION).document
        assert {model.name: model.sha256 for model in session.scalars(select(Model))} == stored["models"]
    assert Pipeline.from_document(stored).digest == Pipeline.default().digest
    assert promote_shipped_pipeline(found, Classifier.GEOMETRIC) == geometric
    with session_factory() as session:
        assert pipelines.resolve(session, PRODUCTION).id == geometric
