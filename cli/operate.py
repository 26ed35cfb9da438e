"""What an operator does all day: take images in, try again, print reports."""

from __future__ import annotations

import csv
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.connections import services
from cli.console import AsJson, err, fail, print_json, print_table, progress_bar
from cli.run import Images, Lab, take_in
from db import pipelines, queue, reporting
from db.pipelines import PRODUCTION
from reports.html import render
from reports.tables import write_parquet


class Format(StrEnum):
    """How a report is written."""

    TABLE = "table"
    CSV = "csv"
    PARQUET = "parquet"
    HTML = "html"


def ingest(
    path: Images,
    case: Annotated[str | None, typer.Option(help="Accession number of all images.")] = None,
    lab: Lab = None,
    as_json: AsJson = False,
) -> None:
    """Store images and queue them for analysis; running workers do the rest. Safe to repeat."""
    with services() as found, progress_bar() as progress:
        with found.sessions() as session:
            pipeline_id = pipelines.resolve(session, PRODUCTION).id
        summary = take_in(found, path, pipeline_id, progress, case=case, lab=lab)
    if as_json:
        print_json(summary.to_json())
        return
    err.print(
        f"{summary.new} new, {summary.duplicate} known, {len(summary.rejected)} rejected (batch {summary.batch_id})"
    )
    if summary.rejected:
        rows = [(item.name, item.reason, item.sentence) for item in summary.rejected]
        print_table("Rejected", ("file", "reason", "what it means"), rows)


def retry(
    reason: Annotated[str | None, typer.Option(help="Only analyses that ended for this reason.")] = None,
    case: Annotated[str | None, typer.Option(help="Only images of this case.")] = None,
    as_json: AsJson = False,
) -> None:
    """Put failed and quarantined analyses back into the queue, with their attempts counted afresh."""
    with services() as found, found.sessions.begin() as session:
        count = queue.retry(session, reason=reason, accession=case)
    if as_json:
        print_json({"retried": count})
    else:
        err.print(f"{count} analyses put back into the queue")


def report(
    name: Annotated[str | None, typer.Argument(help="Name of the report; see --list.")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.TABLE,
    out: Annotated[Path | None, typer.Option(help="File to write; default: stdout.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the reports there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a view of the reporting schema."""
    with services() as found, found.sessions() as session:
        known = {item.name: item for item in reporting.list_reports(session)}
        if listing or name is None:
            if as_json:
                print_json(
                    [
                        {"name": item.name, "description": item.description, "columns": item.columns}
                        for item in known.values()
                    ]
                )
            else:
                print_table(
                    None, ("report", "what it says"), [(item.name, item.description) for item in known.values()]
                )
            return
        if name not in known:
            fail(f"there is no report {name!r}; there are: {', '.join(sorted(known))}", code=2)
        columns, rows = reporting.fetch(session, name)
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
        return
    match format_:
        case Format.TABLE:
            print_table(known[name].description, columns, rows)
        case Format.CSV:
            stream = out.open("w", newline="") if out else sys.stdout
            writer = csv.writer(stream)
            writer.writerow(columns)
            writer.writerows(rows)
        case Format.PARQUET:
            if out is None:
                fail("a parquet report needs --out FILE", code=2)
            write_parquet(out, [dict(zip(columns, row, strict=True)) for row in rows])
        case Format.HTML:
            page = render("table.html", title=known[name].description, columns=columns, rows=rows)
            if out:
                out.write_text(page, encoding="utf-8")
            else:
                typer.echo(page)
