"""``karyo case``: what is done to a case as a whole."""

from __future__ import annotations

import typer

from cli.case_erase import erase

case_app = typer.Typer(help="Erase cases.", no_args_is_help=True)
case_app.command()(erase)


@case_app.callback()
def case() -> None:
    """Make Typer expect sub-commands."""
