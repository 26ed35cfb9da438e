"""``karyo case``: what is done to a case as a whole."""

from __future__ import annotations

import typer

from cli.case_erase import erase
from cli.case_export import export
from cli.case_import import import_

case_app = typer.Typer(help="Export, import and erase cases.", no_args_is_help=True)
case_app.command()(export)
case_app.command("import")(import_)
case_app.command()(erase)
