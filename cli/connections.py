"""Connections of a command to the database and the object store, configured or embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from db.engine import SessionFactory, make_engine, make_sessions
from settings import Settings
from storage import ObjectStore, open_store


@dataclass(frozen=True, slots=True)
class Services:
    """Open connections of one command.

    ``check`` raises ``StackError`` if a process of the embedded stack has failed for good.
    """

    settings: Settings
    sessions: SessionFactory
    store: ObjectStore
    check: Callable[[], None]


def connect(settings: Settings, check: Callable[[], None] = lambda: None) -> Services:
    """Return connections to running services."""
    engine = make_engine(str(settings.database_url))
    store = open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url)
    return Services(settings, make_sessions(engine), store, check)


@contextmanager
def open_services(*, workers: int = 0) -> Iterator[Services]:
    """Yield the services for one command.

    Without a configuration the embedded stack is started or joined, and left at the end.

    Args:
        workers: worker processes of the embedded stack; 0 for commands that read or enqueue only.
    """
    settings = Settings()
    if settings.is_configured:
        yield connect(settings)
        return
    from cli.shipped_pipeline import promote_shipped_pipeline  # noqa: PLC0415 - a configured command needs
    from embedded import EmbeddedStack  # noqa: PLC0415 - neither the science nor a stack

    with EmbeddedStack(settings.home_path, workers=workers, scheduler=workers > 0) as stack:
        services = connect(stack.settings, stack.check)
        promote_shipped_pipeline(services.sessions)
        yield services
