"""``karyo status``: how much there is, how fast it goes, who does it, and what went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.connections import services
from cli.console import AsJson, out, print_json, table
from db import queue


def status(
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep looking until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between looks, with --follow.")] = 2.0,
) -> None:
    """How much is waiting, running and done, how fast it goes, who does it, and the last errors.

    With --follow and --json it writes one line of JSON per look.
    """
    with services() as found:

        def look() -> dict[str, Any]:
            with found.sessions() as session:
                return queue.overview(session)

        if not follow:
            seen = look()
            print_json(seen) if as_json else out.print(page(seen))
            return
        try:
            if as_json:
                while True:
                    typer.echo(json.dumps(look(), default=str))
                    time.sleep(every)
            with Live(page(look()), console=out, auto_refresh=False) as live:
                while True:
                    time.sleep(every)
                    live.update(page(look()), refresh=True)
        except KeyboardInterrupt:
            return


def page(seen: dict[str, Any]) -> RenderableType:
    """What a person reads."""
    parts: list[RenderableType] = [_headline(seen)]
    parts += _part("Analyses", ("state", "count"), seen["states"].items())
    waiting = [(row["priority"], row["count"], _duration(row["oldest_seconds"])) for row in seen["waiting"]]
    parts += _part("Waiting", ("priority", "count", "oldest"), waiting)
    paused = [(row["priority"], f"{row['since']:%Y-%m-%d %H:%M}", row["by"]) for row in seen["paused"]]
    parts += _part("Paused; `karyo resume` goes on", ("priority", "since", "by"), paused)
    workers = [(row["name"], row["processes"], f"{row['started_at']:%Y-%m-%d %H:%M}") for row in seen["workers"]]
    parts += _part("Workers", ("name", "processes", "since"), workers)
    errors = [(row["image"], row["state"], row["reason"], row["sentence"]) for row in seen["errors"]]
    parts += _part("Last errors", ("image", "state", "reason", "error"), errors)
    return Group(*parts)


def _headline(seen: dict[str, Any]) -> Text:
    pace, left = seen["images_per_minute"], seen["seconds_left"]
    words = "nothing has ended lately" if pace is None else f"{pace:g} images per minute"
    if left:
        words += f", about {_duration(left)} left"
    if not seen["workers"]:
        words += "; no worker is running"
    return Text(words, style="bold")


def _part(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RenderableType]:
    found = list(rows)
    return [Text(), table(title, columns, found)] if found else []


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
