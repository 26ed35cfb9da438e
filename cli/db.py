"""``karyo db``: the database schema."""

from __future__ import annotations

import typer

from cli.connections import open_services, patience_of
from cli.console import err, fail
from cli.shipped_pipeline import promote_shipped_pipeline
from db import migrate
from db.engine import make_engine
from db.pipelines import PRODUCTION
from db.schema import PipelineAlias
from settings import Settings

db_app = typer.Typer(help="The database schema.", no_args_is_help=True)


@db_app.command()
def upgrade() -> None:
    """Migrate the database to what this version expects; safe from many hosts at once.

    A missing role of the readers of reports is made again, as after a restore. The shipped pipeline becomes
    `production` if there is none yet; later ones are promoted by hand.
    """
    migrate.upgrade(_database_url())
    with open_services() as services:
        with services.sessions() as session:
            has_production = session.get(PipelineAlias, PRODUCTION) is not None
        if not has_production:
            promote_shipped_pipeline(services.sessions)
    err.print(f"the database is at {migrate.head()}")


@db_app.command()
def check() -> None:
    """Compare the database with what this version expects; exits with 1 if they differ."""
    try:
        migrate.check(_database_url())
    except migrate.SchemaMismatch as problem:
        fail(str(problem))
    err.print("the database is as this version expects")


def _database_url() -> str:
    """Return the URL of a database that answers; one that starts is waited for."""
    settings = Settings()
    url = settings.database_url
    if url is None:
        fail("set KARYO_DATABASE_URL; the embedded stack migrates its own database", code=2)
    make_engine(url, pooled=False, patience=patience_of(settings)).connect().close()
    return url
