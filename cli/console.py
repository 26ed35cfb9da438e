"""How the command line speaks: tables and progress for people on stderr, JSON and results for machines on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say what went wrong and what to do, and leave with ``code``."""
    err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)
    raise typer.Exit(code)


def print_json(value: object) -> None:
    """Write ``value`` as JSON to stdout; dates become ISO text."""
    typer.echo(json.dumps(value, indent=2, default=str))


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """A table in which None is a dash."""
    made = Table(*columns, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in rows:
        made.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    return made


def print_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, to: Console = out) -> None:
    """Write a table, to stdout if nothing else is said."""
    to.print(table(title, columns, rows))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on stderr that disappears into plain text when stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with Progress(*columns, console=err) as progress:
        yield progress
