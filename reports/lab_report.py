"""A report of schema ``reporting`` with what people need to read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib.util import find_spec
from typing import Any

from sqlalchemy.orm import Session

from db import reporting
from reports.catalogue import PRESENTATIONS, Presentation
from reports.errors import ReportError
from reports.html import render


@dataclass(frozen=True, slots=True)
class LabReport:
    """Rows of a report with its title, question and age."""

    name: str
    title: str
    question: str
    columns: dict[str, str]
    """Meaning of each column, with its unit in square brackets."""
    rows: Sequence[tuple[Any, ...]]
    as_of: datetime
    """Time of the oldest data in the report."""
    is_live: bool
    """Whether it reads no materialised view."""
    first: date | None
    last: date | None

    @property
    def notes(self) -> list[str]:
        """Sentences about the age and the period."""
        notes = [f"As of {self.as_of:%Y-%m-%d %H:%M} UTC."]
        if self.first or self.last:
            notes.append(f"From {self.first or 'the beginning'} to {self.last or 'today'}.")
        return notes

    def records(self) -> list[dict[str, Any]]:
        """Return the rows by the names of their columns."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def read_report(session: Session, name: str, first: date | None = None, last: date | None = None) -> LabReport:
    """Return a report, limited to the days from ``first`` to ``last``, both included.

    Args:
        session: an open transaction.
        name: of the view.
        first: a week or month counts if one of its days does; None for all.
        last: as ``first``.

    Raises:
        ReportError: there is no such report, it has no time to limit, or ``first`` is after ``last``.
    """
    known = {item.name: item for item in reporting.list_reports(session)}
    if name not in known:
        raise ReportError(f"there is no report {name!r}; there are: {', '.join(known)}")
    shown = PRESENTATIONS.get(name, Presentation(name))
    if first and last and first > last:
        raise ReportError(f"--from {first} is after --to {last}; exchange them")
    if (first or last) and shown.period is None:
        raise ReportError(f"report {name} has no dates; leave out --from and --to")
    period = replace(shown.period, first=first, last=last) if shown.period else None
    age = reporting.find_age(session, name)
    _, rows = reporting.fetch(session, name, period=period, order=shown.order)
    question = shown.question or known[name].description
    return LabReport(
        name, shown.title, question, known[name].columns, rows, age or datetime.now(UTC), age is None, first, last
    )


def render_page(report: LabReport) -> str:
    """Return a report as one self-contained HTML page.

    Its chart needs matplotlib; without it, the page says how to install it.
    """
    notes, figure = report.notes, None
    if chart := PRESENTATIONS.get(report.name, Presentation("")).chart:
        if find_spec("matplotlib"):
            from reports.charts import draw  # noqa: PLC0415 - matplotlib is an extra

            figure = draw(chart, report.title, report.records())
        else:
            notes.append("The chart is not drawn, because matplotlib is not installed: pip install 'karyoflow[train]'.")
    values = {"title": report.title, "question": report.question, "columns": report.columns, "rows": report.rows}
    return render("table.html", **values, notes=notes, figure=figure)
