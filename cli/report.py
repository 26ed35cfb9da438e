"""``karyo report``: the views of the reporting schema."""

from __future__ import annotations

import sys
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from cli.connections import open_services
from cli.console import err, fail, print_json, print_table
from cli.options import AsJson
from db.report_refresh import refresh_reports
from db.reporting import list_reports
from reports.catalogue import PRESENTATIONS, Presentation
from reports.errors import ReportError
from reports.lab_report import LabReport, read_report, render_page
from reports.tables import write_csv_rows, write_parquet


class Format(StrEnum):
    """File format of a report."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    HTML = "html"


def report(  # noqa: PLR0917 - options are keywords on the command line
    name: Annotated[str | None, typer.Argument(help="Name of the report; see --list.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day, YYYY-MM-DD, UTC.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, YYYY-MM-DD, UTC.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Refresh the materialised reports first.")] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the reports there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a view of the reporting schema.

    A week or month is in the report if one of its days is between --from and --to.
    """
    days = _parse_day("--from", first), _parse_day("--to", last)
    if format_ is Format.PARQUET and out is None and not as_json:
        fail("a parquet report needs --out FILE", code=2)
    with open_services() as services:
        if refresh:
            refresh_reports(services.sessions, waits=True)
        with services.sessions() as session:
            if listing or name is None:
                _print_list(session, as_json)
                return
            try:
                found = read_report(session, name, *days)
            except ReportError as problem:
                fail(str(problem), code=2)
    if as_json:
        print_json(found.records())
    else:
        _write(found, format_, out)
    shows_notes = not as_json and format_ in (Format.TABLE, Format.HTML)
    if not (shows_notes or found.is_live):
        err.print(" ".join(found.notes), markup=False)


def _parse_day(option: str, text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        fail(f"{option} {text!r} is no date; write it as YYYY-MM-DD, such as 2026-03-31", code=2)


def _print_list(session: Session, as_json: bool) -> None:
    found = list_reports(session)
    if as_json:
        print_json([{"name": item.name, "description": item.description, "columns": item.columns} for item in found])
        return
    shown = [PRESENTATIONS.get(item.name, Presentation(item.name)) for item in found]
    rows = [(item.name, look.question or item.description) for item, look in zip(found, shown, strict=True)]
    print_table(None, ("report", "what it says"), rows)


def _write(found: LabReport, format_: Format, out: Path | None) -> None:
    match format_:
        case Format.TABLE:
            title = " ".join((f"{found.title}: {found.question}", *found.notes))
            print_table(title, list(found.columns), found.rows)
        case Format.CSV if out:
            with out.open("w", newline="", encoding="utf-8") as stream:
                write_csv_rows(stream, list(found.columns), found.rows)
        case Format.CSV:
            write_csv_rows(sys.stdout, list(found.columns), found.rows)
        case Format.PARQUET if out:
            write_parquet(out, found.records(), list(found.columns))
        case Format.HTML if out:
            out.write_text(render_page(found), encoding="utf-8")
        case Format.HTML:
            typer.echo(render_page(found).encode())  # the page declares UTF-8, whatever the encoding of stdout
