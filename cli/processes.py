"""The long-running processes: everything at once on one machine, or each on its own in production."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.console import err, fail
from settings import Settings

# Each process imports what it needs, when it starts: a scheduler holds no science in its memory.


def _configured() -> Settings:
    settings = Settings()
    if not settings.is_configured:
        fail(
            "this process needs KARYO_DATABASE_URL, KARYO_BROKER_URL and KARYO_OBJECT_STORE; "
            "to run everything on this machine instead, use `karyo up`",
            code=2,
        )
    return settings


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Worker processes: one per GPU, or per free core.")] = 1,
) -> None:
    """Analyse images: take chunks from the broker until told to stop (SIGTERM finishes the image in hand)."""
    from worker.main import main  # noqa: PLC0415

    main(_configured(), concurrency=concurrency)


def scheduler() -> None:
    """Decide what runs when: dispatch, recover lost work, start campaigns by the clock. Any number may run at once."""
    from scheduler import main  # noqa: PLC0415
    from worker import make_publisher  # noqa: PLC0415

    settings = _configured()
    main(settings, make_publisher(settings))


def web(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
) -> None:
    """Serve the pages and the HTTP API."""
    import uvicorn  # noqa: PLC0415

    from web import create_app  # noqa: PLC0415

    uvicorn.run(create_app(_configured()), host=host, port=port, log_level="warning")


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the pages and the API.")] = 8000,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes; default: one for a GPU, or one for each core up to four."),
    ] = None,
) -> None:
    """Run everything on this machine, in the foreground, until Ctrl-C."""
    import uvicorn  # noqa: PLC0415

    from cli.connections import connect, promote_shipped_pipeline  # noqa: PLC0415
    from embedded import EmbeddedStack  # noqa: PLC0415
    from models.providers import default_processes  # noqa: PLC0415
    from web import create_app  # noqa: PLC0415

    settings = Settings()
    if settings.is_configured:
        fail("KARYO_DATABASE_URL is set: run `karyo worker`, `karyo scheduler` and `karyo web` instead", code=2)
    with EmbeddedStack(settings.home_path, workers=workers or default_processes(), scheduler=True) as stack:
        promote_shipped_pipeline(connect(stack.settings))
        err.print(
            f"karyoflow is up: [bold]http://127.0.0.1:{port}[/]  (state and logs in {settings.home_path}; Ctrl-C stops)"
        )
        server = uvicorn.Server(
            uvicorn.Config(create_app(stack.settings), host="127.0.0.1", port=port, log_level="warning")
        )
        server.run()
