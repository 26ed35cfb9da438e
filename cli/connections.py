"""Connections of a command to the database and the object store, configured or embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from cli.console import err
from db.engine import SessionFactory, make_engine, make_sessions
from db.outages import Patience
from db.version import check_version
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

    def close(self) -> None:
        """Close the connections to the database."""
        self.sessions.kw["bind"].dispose()


def connect(settings: Settings, check: Callable[[], None] = lambda: None) -> Services:
    """Return connections to running services, whose database has the schema of this version.

    A database that starts, stops or recovers is waited for as long as a lease lasts.

    Raises:
        ConfigurationError: the database has another schema.
        StoreMisconfigured: the AWS settings of this process cannot be used.
        SQLAlchemyError: the database does not answer.
    """
    patience = patience_of(settings)
    engine = make_engine(str(settings.database_url), patience=patience)
    store = open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url)
    try:
        check_version(engine)
    except BaseException:
        engine.dispose()
        raise
    return Services(settings, make_sessions(engine, patience), store, check)


def patience_of(settings: Settings) -> Patience:
    """Return the patience of a command with its database, which it reports on stderr."""
    return Patience(settings.lease_seconds, lambda notice: err.print(notice, markup=False, soft_wrap=True))


@contextmanager
def open_services(*, workers: int = 0, with_pipeline: bool = False) -> Iterator[Services]:
    """Yield the services for one command.

    Without a configuration the embedded stack is started or joined, and left at the end.

    Args:
        workers: worker processes of the embedded stack; 0 for commands that read or enqueue only.
        with_pipeline: whether the embedded stack needs a pipeline in production: the command enqueues images or shows
            pipelines. The shipped one is promoted unless a person chose another.
    """
    settings = Settings()
    if settings.is_configured:
        with closing(connect(settings)) as services:
            yield services
        return
    from embedded import EmbeddedStack  # noqa: PLC0415 - a configured command needs no stack

    with (
        EmbeddedStack(settings.home_path, workers=workers, scheduler=workers > 0) as stack,
        closing(connect(stack.settings, stack.check)) as services,
    ):
        if with_pipeline:
            from cli.shipped_pipeline import promote_unless_chosen  # noqa: PLC0415 - a second of imports

            promote_unless_chosen(services.sessions)
        yield services
