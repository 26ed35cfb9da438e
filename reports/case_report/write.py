"""A case report in the formats that a laboratory hands on."""

from __future__ import annotations

from typing import Literal

from reports.case_report.document import CaseReport
from reports.case_report.fhir import check_fhir, to_fhir
from reports.case_report.page import check_pdf, to_html, to_pdf

Format = Literal["html", "pdf", "json", "fhir"]


def check_format(format_: Format) -> None:
    """Return if reports can be written in this format.

    Raises:
        MissingExtra: a package is not installed.
    """
    if format_ == "pdf":
        check_pdf()
    elif format_ == "fhir":
        check_fhir()


def encode(report: CaseReport, format_: Format) -> bytes:
    """Return the content of the file of a report; texts are UTF-8.

    Raises:
        MissingExtra: a package is not installed.
    """
    match format_:
        case "html":
            return to_html(report).encode()
        case "pdf":
            return to_pdf(report)
        case "json":
            return report.model_dump_json(indent=2).encode()
        case "fhir":
            return to_fhir(report).encode()
