"""``karyo report``: the views of the reporting schema."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.connections import open_services
from cli.console import fail, print_json, print_table
from cli.options import AsJson
from db import reporting
from db.reporting import Report
from reports.html import render
from reports.tables import write_csv_rows, write_parquet


class Format(StrEnum):
    """File format of a report."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    HTML = "html"


def report(
    name: Annotated[str | None, typer.Argument(help="Name of the report; see --list.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the reports there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a view of the reporting schema."""
    with open_services() as services, services.sessions() as session:
        reports = {item.name: item for item in reporting.list_reports(session)}
        if listing or name is None:
            _print_list(reports.values(), as_json)
            return
        if name not in reports:
            fail(f"there is no report {name!r}; there are: {', '.join(sorted(reports))}", code=2)
        columns, rows = reporting.fetch(session, name)
    if as_json:
        print_json(_records(columns, rows))
    else:
        _write(reports[name].description, columns, rows, format_, out)


def _print_list(reports: Iterable[Report], as_json: bool) -> None:
    if as_json:
        print_json([{"name": item.name, "description": item.description, "columns": item.columns} for item in reports])
    else:
        print_table(None, ("report", "what it says"), [(item.name, item.description) for item in reports])


def _write(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], format_: Format, out: Path | None
) -> None:
    match format_:
        case Format.TABLE:
            print_table(title, columns, rows)
        case Format.CSV if out:
            with out.open("w", newline="", encoding="utf-8") as stream:
                write_csv_rows(stream, columns, rows)
        case Format.CSV:
            write_csv_rows(sys.stdout, columns, rows)
        case Format.PARQUET:
            if out is None:
                fail("a parquet report needs --out FILE", code=2)
            write_parquet(out, _records(columns, rows))
        case Format.HTML:
            page = render("table.html", title=title, columns=columns, rows=rows)
            if out:
                out.write_text(page, encoding="utf-8")
            else:
                typer.echo(page.encode())  # the page declares UTF-8, whatever the encoding of stdout


def _records(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in rows]
