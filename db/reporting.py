"""Reports: the views of schema ``reporting``, which describe themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import String, cast, column, select, table, text
from sqlalchemy.orm import Session

REPORTING = "reporting"


class UnknownReport(LookupError):
    """No report, or no column of it, goes by that name."""


@dataclass(frozen=True, slots=True)
class Report:
    """A view and what it says of itself."""

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
    """Every report, by name."""
    reports: dict[str, Report] = {}
    for name, description, name_of_column, meaning in session.execute(_CATALOGUE, {"schema": REPORTING}):
        report = reports.setdefault(name, Report(name, description, {}))
        report.columns[name_of_column] = meaning
    return list(reports.values())


def fetch(
    session: Session, name: str, filters: Mapping[str, str] | None = None, limit: int | None = None
) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    """Names of the columns, and the rows, of the report ``name``.

    Args:
        session: an open transaction.
        name: of the report.
        filters: values, as text, that columns must have.
        limit: rows at most.

    Raises:
        UnknownReport: with the reports, or the columns, that there are.
    """
    reports = {report.name: report for report in list_reports(session)}
    if name not in reports:
        raise UnknownReport(f"there is no report {name!r}; there are: {', '.join(reports)}")
    columns = list(reports[name].columns)
    if strange := set(filters or {}) - set(columns):
        raise UnknownReport(f"report {name} has no column {min(strange)!r}; it has: {', '.join(columns)}")
    view = table(name, *(column(item) for item in columns), schema=REPORTING)
    matching = [cast(view.c[item], String) == value for item, value in (filters or {}).items()]
    rows = [tuple(row) for row in session.execute(select(view).where(*matching).limit(limit))]
    return columns, rows
