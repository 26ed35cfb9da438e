"""``karyo up``: the embedded stack and the pages, in the foreground."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from cli.connections import connect
from cli.console import err, fail
from cli.shipped_pipeline import promote_unless_chosen
from embedded import EmbeddedStack
from models.providers import default_processes
from settings import Settings
from telemetry.logs import configure
from web import create_app


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages and the API.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes; default: one for a GPU, or one for each core up to four."),
    ] = None,
) -> None:
    """Run everything on this machine, in the foreground, until Ctrl-C."""
    settings = Settings()
    if settings.is_configured:
        fail("KARYO_DATABASE_URL is set: run `karyo worker`, `karyo scheduler` and `karyo web` instead", code=2)
    configure(settings.log_format)
    with EmbeddedStack(settings.home_path, workers=workers or default_processes(), scheduler=True) as stack:
        promote_unless_chosen(connect(stack.settings).sessions)
        err.print(
            f"karyoflow is up: [bold]http://127.0.0.1:{port}[/]  (state and logs in {settings.home_path}; Ctrl-C stops)"
        )
        web = create_app(stack.settings)
        config = uvicorn.Config(web, host="127.0.0.1", port=port, log_level="warning", log_config=None)
        uvicorn.Server(config).run()
