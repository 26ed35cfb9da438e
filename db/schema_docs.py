"""The schema as a page of documentation; a test compares the page with the code."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import CheckConstraint, Column, Table
from sqlalchemy.dialects import postgresql

from db.reporting import Report
from db.schema import Base

_INTRODUCTION = """# The database

PostgreSQL holds two schemas. `reporting`, version 1, is for people and their tools: its views and their columns keep
their names and meanings. `karyo report NAME` shows them ([how to](../how-to/lab-reports.md)). The large views are
materialised, and `reporting.freshness` says how old they are.
`karyo` belongs to the program and changes with it. Times are UTC.

Grant the role `karyo_reporting` to readers of reports. It may read the views and nothing else:

```sql
CREATE ROLE analyst LOGIN PASSWORD '...' IN ROLE karyo_reporting;
```

This page is written by `python -m db.schema_docs DATABASE_URL`.
"""


def render(reports: Iterable[Report]) -> str:
    """Return the page in Markdown: views with their comments, tables with their docstrings."""
    return "\n".join([_INTRODUCTION, "## Schema `reporting`\n", *_views(reports), "## Schema `karyo`\n", *_tables()])


def _views(reports: Iterable[Report]) -> Iterator[str]:
    for report in reports:
        yield f"### `reporting.{report.name}`\n\n{report.description}\n"
        yield _grid(("column", "meaning"), [(f"`{name}`", meaning) for name, meaning in report.columns.items()])


def _tables() -> Iterator[str]:
    descriptions = {mapper.local_table: mapper.class_ for mapper in Base.registry.mappers}
    for table in sorted(Base.metadata.tables.values(), key=lambda table: table.name):
        yield f"### `{table.fullname}`\n\n{inspect.getdoc(descriptions[table])}\n"
        yield _grid(("column", "type", "meaning"), [_row(column) for column in table.columns])
        if checks := sorted(_checks(table)):
            yield "\n".join(f"* {check}" for check in checks) + "\n"


def _row(column: Column[object]) -> tuple[str, str, str]:
    kind = column.type.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]
    meaning = [(column.doc or "").rstrip(".").replace("``", "`")]
    meaning += [f"→ `{key.column.table.name}`" for key in column.foreign_keys]
    meaning += ["key"] if column.primary_key else ["unique"] if column.unique else []
    return f"`{column.name}`", f"{kind}{' or null' if column.nullable else ''}", "; ".join(filter(None, meaning))


def _checks(table: Table) -> Iterator[str]:
    for constraint in table.constraints:
        if isinstance(constraint, CheckConstraint):
            yield f"`{constraint.name}`: `{constraint.sqltext}`"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


if __name__ == "__main__":
    import sys

    from db.engine import make_engine, make_sessions
    from db.reporting import list_reports

    with make_sessions(make_engine(sys.argv[1]))() as session:
        sys.stdout.write(render(list_reports(session)))
