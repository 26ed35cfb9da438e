"""``karyo storage``: the object store."""

from __future__ import annotations

import typer

from cli.storage_sweep import sweep

storage_app = typer.Typer(help="The object store.", no_args_is_help=True)
storage_app.command()(sweep)


@storage_app.callback()
def storage() -> None:
    """Make Typer expect sub-commands."""
