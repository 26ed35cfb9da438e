"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from db.enums import Priority
from telemetry.redaction import redact

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Lab = Annotated[
    str | None, typer.Option(help="The laboratory that all images are from; laboratories take turns at the workers.")
]

Channel = Annotated[
    str | None, typer.Option(help="Channel of files with several: its name, or number from 0.", show_default=False)
]
Plane = Annotated[
    int | None,
    typer.Option(min=0, max=32_767, help="Plane of files with several: its number from 0.", show_default=False),
]


def parse_priority(label: str) -> Priority:
    """Return the priority with this label.

    Raises:
        typer.BadParameter: no priority has this label.
    """
    try:
        return Priority.parse(label)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error


def _existing(location: str) -> str:
    from ingest.sources.location import is_url  # noqa: PLC0415 - brings every source

    if not is_url(location) and not Path(location).exists():
        raise typer.BadParameter(f"Path {redact(location)!r} does not exist.")
    return location


ImagesArgument = Annotated[
    str,
    typer.Argument(
        parser=_existing,
        metavar="PATH",
        help="A folder or zip archive of metaphase images, a manifest (CSV or XLSX), or s3://BUCKET/PREFIX.",
    ),
]
