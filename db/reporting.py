"""Reports: the views of schema ``reporting`` with their comments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, String, cast, column, select, table, text
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


@dataclass(frozen=True, slots=True)
class Period:
    """Days that limit a report, both included; None is unbounded."""

    column: str
    """Column of times, or of the beginnings of weeks or months."""
    unit: Literal["hour", "day", "week", "month"] | None = None
    """Length of the time that begins at ``column``; None for a moment."""
    first: date | None = None
    last: date | None = None

    def conditions(self, times: ColumnElement[Any]) -> list[ColumnElement[bool]]:
        """Return the SQL conditions; a week or month counts if one of its days does."""
        conditions = []
        if self.first:
            conditions.append(times >= datetime.combine(self._begin(self.first), time.min, UTC))
        if self.last:
            conditions.append(times <= datetime.combine(self.last, time.max, UTC))
        return conditions

    def _begin(self, day: date) -> date:
        match self.unit:
            case "week":
                return day - timedelta(days=day.weekday())
            case "month":
                return day.replace(day=1)
        return day


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


def find_age(session: Session, name: str) -> datetime | None:
    """Return the time of the oldest data that a report reads; None for a live report."""
    freshness = table("freshness", column("report"), column("as_of"), schema=REPORTING)
    return session.scalar(select(freshness.c.as_of).where(freshness.c.report == name))


def fetch(
    session: Session,
    name: str,
    filters: Mapping[str, str] | None = None,
    *,
    limit: int | None = None,
    period: Period | None = None,
    order: Sequence[str] = (),
) -> tuple[list[str], Sequence[tuple[Any, ...]]]:
    """Return the column names and the rows of a report.

    Args:
        session: an open transaction.
        name: of the report.
        filters: text that columns must equal in any spelling, by name of the column.
        limit: most rows to return; None for all.
        period: days that limit the rows.
        order: columns that order the rows.

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
    limits = period.conditions(view.c[period.column]) if period else []
    query = select(view).where(*conditions, *limits).order_by(*(view.c[item] for item in order)).limit(limit)
    rows = [tuple(row) for row in session.execute(query)]
    return columns, rows
