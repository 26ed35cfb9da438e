"""Reports: the views of schema ``reporting`` with their comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, column, select, table, text
from sqlalchemy.orm import Session

from db.spelling import normalise

REPORTING = "reporting"


class UnknownReport(LookupError):
    """A name of no report, or of no column of the report."""


@dataclass(frozen=True, slots=True)
class Report:
    """A view with the comments of the view and of its columns."""

    name: str
    description: str
    columns: dict[str, str]
    """Meaning of each column, in order."""


_CATALOGUE = text(
    """
    SELECT view.relname, obj_description(view.oid, 'pg_class'), attribute.attname,
           col_description(view.oid, attribute.attnum)
    FROM pg_class view
    JOIN pg_attribute attribute ON attribute.attrelid = view.oid AND attribute.attnum > 0
    WHERE view.relnamespace = to_regnamespace(:schema) AND view.relkind IN ('v', 'm')
    ORDER BY view.relname, attribute.attnum
    """
)


def list_reports(session: Session) -> list[Report]:
    """Return every report, by name."""
    reports: dict[str, Report] = {}
    for name, description, column_name, meaning in session.execute(_CATALOGUE, {"schema": REPORTING}):
        report = reports.setdefault(name, Report(name, description, {}))
        report.columns[column_name] = meaning
    return list(reports.values())


def fetch(
    session: Session, name: str, filters: Mapping[str, str] | None = None, limit: int | None = None
) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    """Return the column names and the rows of a report.

    Args:
        session: an open transaction.
        name: of the report.
        filters: text that columns must equal in any spelling, by name of the column.
        limit: most rows to return; None for all.

    Raises:
        UnknownReport: there is no such report or column; the message lists the known ones.
    """
    reports = {report.name: report for report in list_reports(session)}
    if name not in reports:
        raise UnknownReport(f"there is no report {name!r}; there are: {', '.join(reports)}")
    columns = list(reports[name].columns)
    if unknown := set(filters or {}) - set(columns):
        raise UnknownReport(f"report {name} has no column {min(unknown)!r}; it has: {', '.join(columns)}")
    view = table(name, *(column(item) for item in columns), schema=REPORTING)
    conditions = [cast(view.c[item], String).in_((value, normalise(value))) for item, value in (filters or {}).items()]
    rows = [tuple(row) for row in session.execute(select(view).where(*conditions).limit(limit))]
    return columns, rows
