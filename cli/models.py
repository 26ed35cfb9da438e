"""``karyo models``: the networks and the pipeline versions."""

from __future__ import annotations

import typer

from cli.console import print_json, print_table
from cli.models_build import build
from cli.models_compare import compare
from cli.models_list import list_models
from cli.models_promote import promote, rollback
from cli.models_register import register
from cli.models_retire import retire
from cli.models_verify import verify
from cli.options import AsJson
from models import registry

models_app = typer.Typer(help="Networks and pipeline versions.", no_args_is_help=True)
models_app.command("list")(list_models)
models_app.command("pipelines", hidden=True)(list_models)  # the former name
for command in (register, compare, promote, rollback, retire, build, verify):
    models_app.command()(command)


@models_app.command()
def networks(as_json: AsJson = False) -> None:
    """List the networks that this version ships."""
    weights = [registry.resolve(name) for name in registry.available()]
    rows = [{"name": item.name, "sha256": item.sha256, "path": str(item.path)} for item in weights]
    if as_json:
        print_json(rows)
    else:
        print_table(None, ("name", "sha256", "path"), (list(row.values()) for row in rows))
