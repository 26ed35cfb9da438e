"""The page of the schema equals the schema."""

from __future__ import annotations

from pathlib import Path

import psycopg
from sqlalchemy import CheckConstraint

from db.engine import SessionFactory
from db.reporting import list_reports
from db.schema import Base
from db.schema_docs import render

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "schema.md"


def test_the_page_is_up_to_date(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        expected = render(list_reports(session))
    assert PAGE.read_text(encoding="utf-8") == expected, (
        "run: python -m db.schema_docs DATABASE_URL > docs/reference/schema.md"
    )


def test_the_live_checks_are_the_declared_ones(postgres_url: str) -> None:
    """Alembic does not compare CHECK constraints."""
    declared = {
        (table.name, str(constraint.name))
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            "SELECT relname, conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid"
            " WHERE contype = 'c' AND connamespace = 'karyo'::regnamespace AND NOT relispartition"
        ).fetchall()
    assert set(rows) == declared
