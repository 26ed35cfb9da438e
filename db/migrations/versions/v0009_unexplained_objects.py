"""Images have the number of objects that may be chromosomes and are none in the result.

Revision: 0009, after 0008.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.migrations.versions import v0002_reporting, v0008_headlines

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

COLUMN = "unexplained_objects"
MEANING = "Objects that may be chromosomes and are none in the result; empty if not measured."


def upgrade() -> None:
    """Add the column, empty for earlier analyses, and show it in the report."""
    op.add_column("qc_metrics", sa.Column(COLUMN, sa.SmallInteger()), schema="karyo")
    view = _image_quality()
    # Replacing a view keeps its rights; new columns are the last ones.
    _create(view, ", ".join((*view.columns, COLUMN)), view.query.replace("q.flags", f"q.flags, q.{COLUMN}"))
    op.execute(f"COMMENT ON COLUMN reporting.image_quality.{COLUMN} IS $${MEANING}$$")


def downgrade() -> None:
    """Drop the column."""
    op.execute("DROP VIEW reporting.image_quality")
    view = _image_quality()
    _create(view, ", ".join(view.columns), view.query)
    op.execute(f"COMMENT ON VIEW reporting.image_quality IS $${view.comment}$$")
    for column, meaning in view.columns.items():
        current = v0008_headlines.COMMENTS.get(f"image_quality.{column}", meaning)
        op.execute(f"COMMENT ON COLUMN reporting.image_quality.{column} IS $${current}$$")
    op.execute("GRANT SELECT ON reporting.image_quality TO karyo_reporting")
    op.drop_column("qc_metrics", COLUMN, schema="karyo")


def _image_quality() -> v0002_reporting.View:
    return next(view for view in v0002_reporting.VIEWS if view.name == "image_quality")


def _create(view: v0002_reporting.View, columns: str, query: str) -> None:
    op.execute(f"CREATE OR REPLACE VIEW reporting.{view.name} ({columns}) AS {query}")
