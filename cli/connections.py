"""The database and object store that a command talks to: the configured ones, or the embedded stack's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from db import pipelines
from db.engine import make_engine, make_sessions
from db.pipelines import PRODUCTION
from embedded import EmbeddedStack
from karyotyping.pipeline import Classifier, Pipeline, Segmenter
from models import registry
from settings import Settings
from storage import ObjectStore, open_store


@dataclass(frozen=True, slots=True)
class Services:
    """Open connections of one command."""

    settings: Settings
    sessions: sessionmaker[Session]
    store: ObjectStore
    check: Callable[[], None]
    """Raises ``StackError`` if a part of the embedded stack does not stay up."""


def connect(settings: Settings, check: Callable[[], None] = lambda: None) -> Services:
    """Connect to services that run."""
    engine = make_engine(str(settings.database_url))
    store = open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url)
    return Services(settings, make_sessions(engine), store, check)


@contextmanager
def services(*, workers: int = 0) -> Iterator[Services]:
    """Services for one command.

    Without a configuration the embedded stack is started, or joined if it already runs, and stopped again at the end.

    Args:
        workers: worker processes that the embedded stack should run; 0 for commands that only look or enqueue.
    """
    settings = Settings()
    if settings.is_configured:
        yield connect(settings)
        return
    with EmbeddedStack(settings.home_path, workers=workers, scheduler=workers > 0) as stack:
        found = connect(stack.settings, stack.check)
        promote_shipped_pipeline(found)
        yield found


def promote_shipped_pipeline(
    found: Services, classifier: Classifier | None = None, segmenter: Segmenter | None = None
) -> int:
    """Register the pipeline that this version ships and let ``production`` point to it; its id."""
    pipeline_id = register_shipped_pipeline(found, classifier, segmenter)
    with found.sessions.begin() as session:
        pipelines.set_alias(session, PRODUCTION, pipeline_id)
    return pipeline_id


def register_shipped_pipeline(
    found: Services, classifier: Classifier | None = None, segmenter: Segmenter | None = None
) -> int:
    """Make the database know the pipeline that this version ships, with either classifier and segmenter; its id."""
    pipeline = Pipeline.default(classifier=classifier or Classifier.EMBEDDING, segmenter=segmenter or Segmenter.NETWORK)
    weights = [registry.by_digest(sha256) for sha256 in pipeline.document["models"].values()]
    models = [{"sha256": item.sha256, "name": item.name, "card": dict(item.card)} for item in weights]
    with found.sessions.begin() as session:
        return pipelines.register(session, pipeline.document, pipeline.digest, models)
