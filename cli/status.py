"""``karyo status``: the queue, its speed, the workers and the latest errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.connections import open_services
from cli.console import FittingTable, discard_output, out, print_json
from cli.options import AsJson
from db import queue
from db.queue import Overview
from telemetry.redaction import redact_values


def status(
    as_json: AsJson = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two refreshes, with --follow.")] = 2.0,
) -> None:
    """Show the images by state, the speed, the workers and the last errors.

    With --follow and --json, every refresh is one line of JSON; without --json it is a new block where stdout is no
    terminal.
    """
    with open_services() as services:

        def read() -> Overview:
            return services.sessions.transact(queue.overview)

        if follow:
            _follow(read, every, as_json)
        elif as_json:
            print_json(asdict(read()))
        else:
            out.print(page(read()))


def page(overview: Overview) -> RenderableType:
    """Return the tables that a person reads."""
    parts: list[RenderableType] = [_headline(overview)]
    parts += _section("Analyses", ("state", "count"), overview.states.items())
    waiting = [(row.priority, row.count, _duration(row.oldest_seconds)) for row in overview.waiting]
    parts += _section("Waiting", ("priority", "count", "oldest"), waiting)
    paused = [(row.priority, f"{row.since:%Y-%m-%d %H:%M}", row.by) for row in overview.paused]
    parts += _section("Paused; `karyo resume` goes on", ("priority", "since", "by"), paused)
    workers = [(row.name, row.processes, f"{row.started_at:%Y-%m-%d %H:%M}") for row in overview.workers]
    parts += _section("Workers", ("name", "processes", "since"), workers)
    errors = [(row.image, row.state, row.reason, row.sentence) for row in overview.errors]
    parts += _section("Last errors", ("image", "state", "reason", "error"), errors)
    return Group(*parts)


def _follow(read: Callable[[], Overview], every: float, as_json: bool) -> None:
    try:
        if out.is_terminal and not as_json:
            _refresh(read, every)
        while True:
            if as_json:
                typer.echo(json.dumps(redact_values(asdict(read())), default=str))
            else:
                out.print(page(read()), end="\n\n")
            time.sleep(every)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:  # the reader has seen enough, as of `karyo status --follow | head`
        discard_output()


def _refresh(read: Callable[[], Overview], every: float) -> NoReturn:
    """Redraw the tables in place."""
    with Live(page(read()), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(every)
            live.update(page(read()), refresh=True)


def _headline(overview: Overview) -> Text:
    pace, remaining = overview.images_per_minute, overview.seconds_left
    words = "no image has ended lately" if pace is None else f"{pace:g} images per minute"
    if remaining:
        words += f", about {_duration(remaining)} left"
    if not overview.workers:
        words += "; no worker is running"
    return Text(words, style="bold")


def _section(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[RenderableType]:
    listed = list(rows)
    return [Text(), FittingTable(title, columns, listed)] if listed else []


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
