"""``karyo status``: how much there is, how fast it goes, who does it, and what went wrong."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.connections import services
from cli.console import AsJson, out, print_json, table
from db import queue
from db.queue import Overview


def status(
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep looking until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between looks, with --follow.")] = 2.0,
) -> None:
    """How much is waiting, running and done, how fast it goes, who does it, and the last errors.

    With --follow and --json it writes one line of JSON per look.
    """
    with services() as found:

        def read() -> Overview:
            with found.sessions() as session:
                return queue.overview(session)

        if not follow:
            overview = read()
            print_json(asdict(overview)) if as_json else out.print(page(overview))
            return
        try:
            if as_json:
                while True:
                    typer.echo(json.dumps(asdict(read()), default=str))
                    time.sleep(every)
            with Live(page(read()), console=out, auto_refresh=False) as live:
                while True:
                    time.sleep(every)
                    live.update(page(read()), refresh=True)
        except KeyboardInterrupt:
            return


def page(overview: Overview) -> RenderableType:
    """Return the tables that a person reads."""
    parts: list[RenderableType] = [_headline(overview)]
    parts += _part("Analyses", ("state", "count"), overview.states.items())
    waiting = [(row.priority, row.count, _duration(row.oldest_seconds)) for row in overview.waiting]
    parts += _part("Waiting", ("priority", "count", "oldest"), waiting)
    paused = [(row.priority, f"{row.since:%Y-%m-%d %H:%M}", row.by) for row in overview.paused]
    parts += _part("Paused; `karyo resume` goes on", ("priority", "since", "by"), paused)
    workers = [(row.name, row.processes, f"{row.started_at:%Y-%m-%d %H:%M}") for row in overview.workers]
    parts += _part("Workers", ("name", "processes", "since"), workers)
    errors = [(row.image, row.state, row.reason, row.sentence) for row in overview.errors]
    parts += _part("Last errors", ("image", "state", "reason", "error"), errors)
    return Group(*parts)


def _headline(overview: Overview) -> Text:
    pace, left = overview.images_per_minute, overview.seconds_left
    words = "nothing has ended lately" if pace is None else f"{pace:g} images per minute"
    if left:
        words += f", about {_duration(left)} left"
    if not overview.workers:
        words += "; no worker is running"
    return Text(words, style="bold")


def _part(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RenderableType]:
    found = list(rows)
    return [Text(), table(title, columns, found)] if found else []


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
