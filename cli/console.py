"""Output of the command line: messages and progress on stderr, results on stdout."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from telemetry.redaction import redact, redact_values

COLUMN_GAP = 1  # characters between two columns
MIN_FOLDED = 24  # characters; a column that is narrower folds into an unreadable ribbon


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise what the other writers of stdout raise; rich would end the process here."""
        discard_output()
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


out = _Console(highlight=False)
err = Console(stderr=True, highlight=False)


def discard_output() -> None:
    """Send the rest of stdout nowhere: its reader is gone, which a flush would report again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def print_error(sentence: str) -> None:
    """Write an error for people to stderr."""
    err.print(f"[bold red]error:[/] {escape(redact(sentence))}", soft_wrap=True)


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Write an error, which says what to do, and exit with status ``code``."""
    print_error(sentence)
    raise typer.Exit(code)


def warn(sentence: str) -> None:
    """Write to stderr what a person should know although the command has worked."""
    err.print(f"[yellow]warning:[/] {escape(redact(sentence))}", soft_wrap=True)


def print_rejection(name: str, reason: str, sentence: str) -> None:
    """Write to stderr why a file was rejected."""
    err.print(f"[yellow]{escape(name)}[/]: {reason}: {escape(redact(sentence))}", soft_wrap=True)


def print_json(value: object) -> None:
    """Write ``value`` as JSON to stdout; dates become ISO text."""
    typer.echo(json.dumps(redact_values(value), indent=2, default=str))


class FittingTable:
    """Table, or one block of lines per row where the table does not fit the width of the output.

    Args:
        title: above the rows.
        columns: header.
        rows: cells; None is shown as a dash.
    """

    def __init__(self, title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        self.title = title
        self.columns = list(columns)
        self.rows = [["-" if cell is None else redact(str(cell)) for cell in row] for row in rows]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table or the blocks."""
        if self._fits(options.max_width):
            yield self._table(self.title, self.columns, self.rows)
            return
        if self.title:
            yield Text(self.title, style="italic")
        if not self.rows:
            yield Text("no rows")
        for number, row in enumerate(self.rows):
            if number:
                yield Text()
            yield self._table(None, None, list(zip(self.columns, row, strict=True)))

    def _fits(self, width: int) -> bool:
        """Return whether at most the widest column of the table is folded at ``width`` characters."""
        lines = [self.columns, *self.rows]
        widths = sorted(max(cell_width(line[index]) for line in lines) for index in range(len(self.columns)))
        others = sum(widths[:-1]) + COLUMN_GAP * (len(widths) - 1)
        return others + min(widths[-1], MIN_FOLDED) <= width

    @staticmethod
    def _table(title: str | None, columns: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> Table:
        result = Table(
            *(columns or ()), title=title, title_justify="left", header_style="bold",
            box=None, pad_edge=False, show_header=columns is not None,
        )  # fmt: skip
        if columns is None:
            result.add_column(style="bold", no_wrap=True)
            result.add_column(overflow="fold")
        for row in rows:
            result.add_row(*map(escape, row))
        return result


def cell_width(text: str) -> int:
    """Return the width of the longest line of ``text`` in characters of a terminal."""
    return max((cell_len(line) for line in text.splitlines()), default=0)


def print_table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, to: Console = out) -> None:
    """Write a table, to stdout by default; one block per row where it does not fit."""
    to.print(FittingTable(title, columns, rows))


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
