"""Output of the command line: messages and progress on stderr, results on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_error(sentence: str) -> None:
    """Write an error for people to stderr."""
    err.print(f"[bold red]error:[/] {escape(sentence)}", soft_wrap=True)


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Write an error, which says what to do, and exit with status ``code``."""
    print_error(sentence)
    raise typer.Exit(code)


def print_rejection(name: str, reason: str, sentence: str) -> None:
    """Write to stderr why a file was rejected."""
    err.print(f"[yellow]{escape(name)}[/]: {reason}: {escape(sentence)}", soft_wrap=True)


def print_json(value: object) -> None:
    """Write ``value`` as JSON to stdout; dates become ISO text."""
    typer.echo(json.dumps(value, indent=2, default=str))


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """Return a table; None is shown as a dash."""
    result = Table(*columns, title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    for row in rows:
        result.add_row(*("-" if cell is None else escape(str(cell)) for cell in row))
    return result


def print_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, to: Console = out) -> None:
    """Write a table, to stdout by default."""
    to.print(table(title, columns, rows))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yield a progress display on stderr; it is plain text where stderr is no terminal."""
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
