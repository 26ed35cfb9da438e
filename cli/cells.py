"""``karyo cells``: which cells of a case to karyotype and to count."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import print_json, print_table
from cli.options import AsJson


def cells(
    accession: Annotated[str, typer.Argument(help="Accession number of the case.")],
    as_json: AsJson = False,
) -> None:
    """List the cells of a case to karyotype and to count, best first, each with the reason."""
    from reports.case_report.read import read_case_report  # noqa: PLC0415 - imports the science

    with open_services() as services, services.sessions() as session:
        report = read_case_report(session, None, accession)
    lists = {"to_karyotype": report.to_karyotype, "to_count": report.to_count}
    if as_json:
        print_json(
            {
                name: [_row(report.cells[one.cell - 1].file_name, one.cell, one.reason) for one in chosen]
                for name, chosen in lists.items()
            }
        )
        return
    for name, chosen in lists.items():
        rows = [(one.cell, report.cells[one.cell - 1].file_name, one.reason) for one in chosen]
        print_table(f"Best cells {name.replace('_', ' ')}", ("cell", "image", "reason"), rows)


def _row(file_name: str, number: int, reason: str) -> dict[str, str | int]:
    return {"cell": number, "image": file_name, "reason": reason}
