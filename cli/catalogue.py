"""``karyo models`` and ``karyo db``: which networks and pipelines there are, and the schema they are recorded in."""

from __future__ import annotations

import typer
from sqlalchemy import select

from cli import engines
from cli.connections import promote_shipped_pipeline, services
from cli.console import AsJson, err, fail, print_json, print_table
from cli.options import ClassifierOption, SegmenterOption
from db import migrate
from db.pipelines import PRODUCTION
from db.schema import Pipeline, PipelineAlias
from karyotyping.pipeline import Classifier, Segmenter
from models import registry
from settings import Settings

models_app = typer.Typer(help="Networks and pipeline versions.", no_args_is_help=True)
models_app.command("build")(engines.build)
models_app.command("verify")(engines.verify)
db_app = typer.Typer(help="The database schema.", no_args_is_help=True)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """The networks that this version ships."""
    weights = [registry.resolve(name) for name in registry.available()]
    rows = [{"name": item.name, "sha256": item.sha256, "path": str(item.path)} for item in weights]
    if as_json:
        print_json(rows)
    else:
        print_table(None, ("name", "sha256", "path"), (list(row.values()) for row in rows))


@models_app.command("pipelines")
def list_pipelines(as_json: AsJson = False) -> None:
    """The pipeline versions that the database knows, with their aliases."""
    with services() as found, found.sessions() as session:
        aliases: dict[int, list[str]] = {}
        for alias in session.scalars(select(PipelineAlias)):
            aliases.setdefault(alias.pipeline_id, []).append(alias.alias)
        rows = [
            {
                "id": pipeline.id,
                "name": pipeline.name,
                "digest": pipeline.digest,
                "aliases": " ".join(aliases.get(pipeline.id, [])),
                "created_at": pipeline.created_at,
            }
            for pipeline in session.scalars(select(Pipeline).order_by(Pipeline.id))
        ]
    if as_json:
        print_json(rows)
    else:
        print_table(None, ("id", "name", "digest", "aliases", "created"), (list(row.values()) for row in rows))


@models_app.command()
def promote(
    classifier: ClassifierOption = Classifier.EMBEDDING,
    segmenter: SegmenterOption = Segmenter.NETWORK,
) -> None:
    """Register the pipeline that this version ships and make it `production`."""
    with services() as found:
        pipeline_id = promote_shipped_pipeline(found, classifier, segmenter)
    err.print(f"pipeline {pipeline_id} is production")


def _database_url() -> str:
    url = Settings().database_url
    if url is None:
        fail("set KARYO_DATABASE_URL; the embedded stack migrates its own database", code=2)
    return url


@db_app.command()
def upgrade() -> None:
    """Migrate the database to what this version expects; safe from many hosts at once.

    The shipped pipeline becomes `production` if there is none yet; later ones are promoted by hand.
    """
    migrate.upgrade(_database_url())
    with services() as found:
        with found.sessions() as session:
            promoted = session.get(PipelineAlias, PRODUCTION) is not None
        if not promoted:
            promote_shipped_pipeline(found)
    err.print(f"the database is at {migrate.head()}")


@db_app.command()
def check() -> None:
    """Compare the database with what this version expects; leaves with 1 if they differ."""
    try:
        migrate.check(_database_url())
    except migrate.SchemaMismatch as problem:
        fail(str(problem))
    err.print("the database is as this version expects")
