"""The case report as a page: HTML without external files, and PDF."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby

from reports.case_report.document import CaseReport, Sufficiency
from reports.case_report.to_check import ranges
from reports.errors import MissingExtra
from reports.html import render

_PANGO = (
    "WeasyPrint finds no Pango on this machine: install it "
    "(Debian: `apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0`)"
)


def to_html(report: CaseReport) -> str:
    """Return the report as one HTML page without scripts and external files."""
    return render(
        "case.html",
        report=report,
        labels=list(_labels(report)),
        provenance=list(_provenance(report)),
        pictures_by_clone=[(clone, list(own)) for clone, own in groupby(report.pictures, lambda one: one.clone)],
        excluded=_excluded(report.sufficiency),
        percent=percent,
        ranges=ranges,
    )


def to_pdf(report: CaseReport) -> bytes:
    """Return the report as PDF on A4.

    Raises:
        MissingExtra: WeasyPrint, or a library that it needs, is not installed.
    """
    check_pdf()
    from weasyprint import HTML  # noqa: PLC0415 - an extra
    from weasyprint.urls import URLFetcher  # noqa: PLC0415

    page = HTML(string=to_html(report), url_fetcher=URLFetcher(allowed_protocols={"data"}))
    return bytes(page.write_pdf())


def check_pdf() -> None:
    """Return if reports can be written as PDF.

    Raises:
        MissingExtra: they cannot.
    """
    try:
        import weasyprint  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("a PDF needs WeasyPrint: pip install 'karyoflow[pdf]'") from error
    except OSError as error:
        raise MissingExtra(_PANGO) from error


def percent(share: float) -> str:
    """Return a probability for people.

    >>> percent(0.00001), percent(0.0123), percent(1.0)
    ('below 0.1 %', '1.2 %', 'above 99.9 %')
    """
    if share < 0.001:
        return "below 0.1 %"
    return "above 99.9 %" if share > 0.999 else f"{100 * share:.1f} %"


def _labels(report: CaseReport) -> Iterator[tuple[str, str]]:
    labels = report.labels
    yield "Accession", labels.accession
    yield "Laboratory", labels.laboratory or "-"
    yield "Tissue", labels.tissue or "-"
    for name, values in (("Slides", labels.slides), ("Banding", labels.bandings), ("Microscope", labels.microscopes)):
        if values:
            yield name, ", ".join(values)
    yield "Received", _time(labels.received_at)
    yield "Images", str(len(report.cells))


def _provenance(report: CaseReport) -> Iterator[tuple[str, str]]:
    made = report.provenance
    yield "Pipeline", f"{made.pipeline}{'' if made.in_production else ' (not in production)'}"
    yield "Digest", made.pipeline_digest
    yield "Result of", _time(made.result_at)
    yield "Report written", _time(made.written_at)
    yield "Software", made.software
    yield "Readers", ", ".join(report.sign_off.readers) if report.sign_off else "not signed"


def _excluded(found: Sufficiency) -> str:
    """Return which mosaicism the counted cells exclude, a sentence."""
    if found.excluded_mosaicism is None:
        return "These cells exclude no mosaicism."
    confidence = f"{100 * (1 - found.alpha):g} % confidence"
    return (
        f"Mosaicism of {100 * found.excluded_mosaicism:.0f} % or more is excluded with {confidence}, at a measured "
        f"probability of {percent(found.miscounted)} that an abnormal cell does not show its abnormality."
    )


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
