"""Registration and promotion of the pipelines that this version ships."""

from __future__ import annotations

from sqlalchemy import select

from cli.shipped_pipeline import promote_shipped_pipeline, promote_unless_chosen, register_shipped_pipeline
from db import pipeline_lifecycle, pipelines
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


def production(sessions: SessionFactory) -> str:
    with sessions() as session:
        return pipelines.resolve(session, PRODUCTION).name


def choose(sessions: SessionFactory, **changes: object) -> None:
    """Promote the geometric pipeline, with ``changes`` of its document, as a person does."""
    document = Pipeline.default(classifier=Classifier.GEOMETRIC).document | changes
    with sessions.begin() as session:
        pipeline_id = pipelines.register(session, document, f"{len(changes):064x}")
        pipeline_lifecycle.promote(session, pipeline_id, actor="ada@lab", because="it agrees with our reports")


def test_the_first_command_promotes_the_shipped_pipeline(session_factory: SessionFactory) -> None:
    promote_unless_chosen(session_factory)
    assert production(session_factory) == "embedding"


def test_a_pipeline_that_a_person_promoted_stays_in_production(session_factory: SessionFactory) -> None:
    promote_unless_chosen(session_factory)
    choose(session_factory, name="ours")
    for _ in range(2):
        promote_unless_chosen(session_factory)
    assert production(session_factory) == "ours"


def test_an_upgrade_keeps_the_chosen_classifier(session_factory: SessionFactory) -> None:
    choose(session_factory, code_version="0.0.1")
    promote_unless_chosen(session_factory)
    with session_factory() as session:
        promoted = pipelines.resolve(session, PRODUCTION)
    assert promoted.digest == Pipeline.default(classifier=Classifier.GEOMETRIC).digest


def test_an_upgrade_promotes_the_new_version_of_a_pipeline_that_nobody_chose(session_factory: SessionFactory) -> None:
    document = Pipeline.default().document | {"code_version": "0.0.1"}
    with session_factory.begin() as session:
        pipelines.set_alias(session, PRODUCTION, pipelines.register(session, document, "0" * 64))
    promote_unless_chosen(session_factory)
    with session_factory() as session:
        assert pipelines.resolve(session, PRODUCTION).digest == Pipeline.default().digest
