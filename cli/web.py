"""``karyo web``: the pages and the HTTP API of a production installation."""

from __future__ import annotations

from typing import Annotated

import typer
import uvicorn

from cli.process_settings import configured_settings
from telemetry.logs import configure
from web import create_app


def web(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """Serve the pages and the HTTP API."""
    settings = configured_settings()
    configure(settings.log_format)
    uvicorn.run(create_app(settings), host=host, port=port, log_level="warning", log_config=None)
