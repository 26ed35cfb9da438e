"""``karyo case-report``: the report of one case that a laboratory hands on."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cli.connections import open_services
from cli.console import err, fail
from cli.files import check_output_files


class Format(StrEnum):
    """File format of a case report."""

    HTML = "html"
    PDF = "pdf"
    JSON = "json"
    FHIR = "fhir"


def case_report(
    accession: Annotated[str, typer.Argument(help="Accession number of the case.")],
    out: Annotated[Path, typer.Argument(help="File to write, such as case.html, case.pdf or case.json.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="Default: the suffix of the file. `fhir` is JSON too.")
    ] = None,
) -> None:
    """Write the report of a case: karyotype, evidence, pictures, and what a person must check."""
    chosen = format_ or _by_suffix(out)
    check_output_files(out)
    from reports.case_report.read import read_case_report  # noqa: PLC0415 - imports the science
    from reports.case_report.write import check_format, encode  # noqa: PLC0415

    check_format(chosen.value)
    with open_services() as services, services.sessions() as session:
        report = read_case_report(session, services.store, accession)
    out.write_bytes(encode(report, chosen.value))
    signed = "" if report.is_signed else ", not signed"
    err.print(f"{out}: case {report.labels.accession}, {report.outcome}{signed}", markup=False, soft_wrap=True)


def _by_suffix(path: Path) -> Format:
    suffix = path.suffix.lower().removeprefix(".")
    known = [Format.HTML, Format.PDF, Format.JSON]
    if suffix not in known:
        fail(f"{path.name!r} does not end in {', '.join(f'.{one}' for one in known)}; choose one by --format", 2)
    return Format(suffix)
