"""``karyo models``: the networks and the pipeline versions."""

from __future__ import annotations

import typer
from sqlalchemy import select

from cli.connections import open_services
from cli.console import err, print_json, print_table
from cli.models_build import build
from cli.models_verify import verify
from cli.options import AsJson
from cli.pipeline_options import ClassifierOption, SegmenterOption
from cli.shipped_pipeline import promote_shipped_pipeline
from db.schema import Pipeline, PipelineAlias
from karyotyping.pipeline import Classifier, Segmenter
from models import registry

models_app = typer.Typer(help="Networks and pipeline versions.", no_args_is_help=True)
models_app.command()(build)
models_app.command()(verify)


@models_app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the networks that this version ships."""
    weights = [registry.resolve(name) for name in registry.available()]
    rows = [{"name": item.name, "sha256": item.sha256, "path": str(item.path)} for item in weights]
    if as_json:
        print_json(rows)
    else:
        print_table(None, ("name", "sha256", "path"), (list(row.values()) for row in rows))


@models_app.command("pipelines")
def list_pipelines(as_json: AsJson = False) -> None:
    """List the pipeline versions that the database knows, with their aliases."""
    with open_services() as services, services.sessions() as session:
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
    with open_services() as services:
        pipeline_id = promote_shipped_pipeline(services.sessions, classifier, segmenter)
    err.print(f"pipeline {pipeline_id} is production")
