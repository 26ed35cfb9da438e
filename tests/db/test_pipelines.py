"""Pipeline versions and their aliases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, update
from sqlalchemy.orm import Session

from db import pipelines, queue
from db.engine import SessionFactory
from db.schema import Model, Pipeline, Priority

DIGESTS = ["a" * 64, "a" * 10 + "b" * 54]


@pytest.fixture
def ids(session_factory: SessionFactory) -> list[int]:
    """Two versions of one pipeline, the older in production."""
    with session_factory.begin() as session:
        ids = [pipelines.register(session, {"name": "stream", "version": d}, d) for d in DIGESTS]
        pipelines.set_alias(session, "production", ids[0])
    return ids


@pytest.mark.parametrize(
    ("name", "index"),
    [("production", 0), (DIGESTS[0], 0), (DIGESTS[1], 1), ("a" * 11, 0), ("aaaaaaaaaab", 1)],
)
def test_aliases_names_and_digests_resolve(
    session_factory: SessionFactory, ids: list[int], name: str, index: int
) -> None:
    with session_factory() as session:
        assert pipelines.resolve(session, name).id == ids[index]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "nightly",
            r"there is no pipeline 'nightly'; there are: production, stream \(aaaaaaaaaabb\), stream \(a{12}\)",
        ),
        ("stream", r"2 pipelines have the name 'stream'; give the first characters of a digest: stream \(aaaaaaaaaabb"),
        ("a" * 10, r"2 pipelines have a digest that starts with aaaaaaaaaa; give more of it: stream \(aaaaaaaaaabb"),
        ("a", "there is no pipeline 'a'"),
        ("%%%%%%", "there is no pipeline '%%%%%%'"),
    ],
)
def test_an_unknown_pipeline_is_explained(
    session_factory: SessionFactory, ids: list[int], name: str, sentence: str
) -> None:
    assert len(ids) == 2
    with session_factory() as session, pytest.raises(pipelines.UnknownPipeline, match=sentence):
        pipelines.resolve(session, name)


def test_a_document_is_stored_once_with_its_models(session_factory: SessionFactory) -> None:
    model: dict[str, Any] = {"sha256": "c" * 64, "name": "router", "card": {"trained_on": "simulated contours"}}
    with session_factory.begin() as session:
        first = pipelines.register(session, {"name": "stream"}, DIGESTS[0], [model])
        again = pipelines.register(session, {"name": "stream"}, DIGESTS[0], [model])
        assert first == again
        assert session.query(Model).one().card == model["card"]


def test_an_alias_can_be_moved(session_factory: SessionFactory, ids: list[int]) -> None:
    with session_factory.begin() as session:
        pipelines.set_alias(session, "production", ids[1])
        assert pipelines.resolve(session, "production").id == ids[1]


def retire(session: Session, pipeline_id: int) -> None:
    session.execute(update(Pipeline).where(Pipeline.id == pipeline_id).values(retired_at=func.now()))


def test_a_name_means_the_only_pipeline_that_is_not_retired(session_factory: SessionFactory, ids: list[int]) -> None:
    with session_factory.begin() as session:
        retire(session, ids[1])
        assert pipelines.resolve(session, "stream").id == ids[0]
        assert pipelines.resolve(session, "stream", allow_retired=True).id == ids[0]
        assert pipelines.resolve(session, DIGESTS[1][:11], allow_retired=True).id == ids[1]
        with pytest.raises(pipelines.RetiredPipeline, match=r"stream \(aaaaaaaaaabb\) is retired since 20.*--undo"):
            pipelines.resolve(session, DIGESTS[1][:11])
        retire(session, ids[0])
        with pytest.raises(pipelines.RetiredPipeline, match="is retired since"):
            pipelines.resolve(session, "stream")
        with pytest.raises(pipelines.UnknownPipeline, match="2 pipelines have the name 'stream'"):
            pipelines.resolve(session, "stream", allow_retired=True)


def test_a_retired_pipeline_gets_no_new_analyses(session_factory: SessionFactory, ids: list[int]) -> None:
    with session_factory.begin() as session:
        retire(session, ids[1])
        with pytest.raises(pipelines.RetiredPipeline):
            queue.enqueue(session, [], ids[1], Priority.ROUTINE)
        assert queue.enqueue(session, [], ids[0], Priority.ROUTINE) == 0
