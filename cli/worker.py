"""``karyo worker``: a worker of a production installation."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.process_settings import configured_settings
from worker.main import main


def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Worker processes: one per GPU, or per free core.")] = 1,
) -> None:
    """Analyse images: take chunks from the broker until SIGTERM.

    The images in progress are finished first.
    """
    main(configured_settings(), concurrency=concurrency)
