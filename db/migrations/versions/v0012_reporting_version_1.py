"""Reports for a laboratory's director; cases show their outcome and signature.

Large reports are materialised.

Revision: 0012, after 0011.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from alembic import op

from db.migrations.versions import v0002_reporting, v0008_headlines, v0010_reviews
from db.migrations.views import cases, edits, work
from db.migrations.views.status import CASE_STATUS_COLUMNS, CASE_STATUS_QUERY, SIGNED_RESULTS_QUERY
from db.migrations.views.view import View

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _throughput(unit: str, name: str) -> View:
    """Return the report of version 0002, materialised."""
    former = next(view for view in v0002_reporting.VIEWS if view.name == name)
    return View(*former, key=(unit, "pipeline_digest"))


THROUGHPUT = (_throughput("hour", "throughput"), _throughput("day", "throughput_daily"))
# An entry reads only views before it.
VIEWS = (
    *THROUGHPUT,
    cases.CASE_RUNS,
    work.MODEL_DRIFT,
    work.QC_DRIFT,
    edits.REVIEWER_EDITS,
    edits.CLASS_EDITS,
    cases.TURNAROUND,
    cases.CASE_COST,
    cases.KARYOTYPES,
    cases.ABNORMALITY_RATE,
    cases.WORKLIST,
    work.BACKLOG_FORECAST,
    work.FAILURES_WEEKLY,
    work.CONCORDANCE,
)
SCHEMA_COMMENTS = {
    "before": "Stable views for reports; grant karyo_reporting to those who may read",
    "now": "Version 1. Views and columns keep their names and meanings; grant karyo_reporting to those who may read",
}

FRESHNESS = View(
    "freshness",
    "Age of every report that reads a materialised view; the other reports are live.",
    {
        "report": "Name of the report.",
        "as_of": "Time of the oldest data that it reads, UTC.",
        "seconds": "Age of that data [s].",
    },
    """
    WITH RECURSIVE reads AS (
        SELECT v.oid AS report, v.oid AS part FROM pg_class v
        WHERE v.relnamespace = 'reporting'::regnamespace AND v.relkind IN ('v', 'm')
        UNION
        SELECT r.report, d.refobjid
        FROM reads r
        JOIN pg_rewrite w ON w.ev_class = r.part
        JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                        AND d.refclassid = 'pg_class'::regclass
        JOIN pg_class c ON c.oid = d.refobjid AND c.relnamespace = 'reporting'::regnamespace
    )
    SELECT v.relname::text, min(t.refreshed_at), extract(epoch FROM now() - min(t.refreshed_at))::double precision
    FROM reads r
    JOIN pg_class v ON v.oid = r.report
    JOIN pg_class part ON part.oid = r.part
    JOIN karyo.report_refreshes t ON t.name = part.relname
    GROUP BY v.relname
    """,
)


def upgrade() -> None:
    """Create the table of refreshes, the index of unknown chromosomes, and the views."""
    op.create_table(
        "report_refreshes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("refreshed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_report_refreshes")),
        schema="karyo",
    )
    op.create_index(
        "ix_chromosomes_unknown", "chromosomes", ["analysis_id"], schema="karyo",
        postgresql_where=sa.text("class_id IS NULL"),
    )  # fmt: skip
    for view in THROUGHPUT:
        op.execute(f"DROP VIEW reporting.{view.name}")
    _replace("signed_results", v0010_reviews.SIGNED_RESULTS, SIGNED_RESULTS_QUERY)
    for view in VIEWS:
        view.create()
    FRESHNESS.create()
    _replace("case_status", case_status_columns(), CASE_STATUS_QUERY)
    for column, meaning in CASE_STATUS_COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN reporting.case_status.{column} IS $${meaning}$$")
    op.execute(f"COMMENT ON SCHEMA reporting IS '{SCHEMA_COMMENTS['now']}'")


def downgrade() -> None:
    """Drop the views; the tables of results stay as they are."""
    op.execute(f"COMMENT ON SCHEMA reporting IS '{SCHEMA_COMMENTS['before']}'")
    _restore_case_status()
    for view in (FRESHNESS, *reversed(VIEWS)):
        view.drop()
    for view in THROUGHPUT:
        view._replace(key=()).create()
    _replace("signed_results", v0010_reviews.SIGNED_RESULTS, v0010_reviews.SIGNED_RESULTS_QUERY)
    op.drop_index("ix_chromosomes_unknown", "chromosomes", schema="karyo")
    op.drop_table("report_refreshes", schema="karyo")


def case_status_columns() -> list[str]:
    """Return the columns of the report as of this version."""
    return [*_former_columns(), *CASE_STATUS_COLUMNS]


def _former_columns() -> dict[str, str]:
    view = next(view for view in v0002_reporting.VIEWS if view.name == "case_status")
    return {**view.columns, **v0008_headlines.NEW_COLUMNS}


def _replace(name: str, columns: Iterable[str], query: str) -> None:
    """Give a view another query.

    It keeps its rights and comments; new columns are the last ones.
    """
    op.execute(f"CREATE OR REPLACE VIEW reporting.{name} ({', '.join(columns)}) AS {query}")


def _restore_case_status() -> None:
    op.execute("DROP VIEW reporting.case_status")
    columns = _former_columns()
    op.execute(f"CREATE VIEW reporting.case_status ({', '.join(columns)}) AS {v0008_headlines.CASE_STATUS}")
    op.execute(f"COMMENT ON VIEW reporting.case_status IS $${v0008_headlines.CASE_STATUS_COMMENT}$$")
    for column, meaning in columns.items():
        current = v0008_headlines.COMMENTS.get(f"case_status.{column}", meaning)
        op.execute(f"COMMENT ON COLUMN reporting.case_status.{column} IS $${current}$$")
    op.execute("GRANT SELECT ON reporting.case_status TO karyo_reporting")
