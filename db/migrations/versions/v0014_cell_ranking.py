"""Cells have a band level, expected edits, a culture and a colony.

Revision: 0014, after 0013.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

from db.migrations.versions import v0002_reporting, v0008_headlines, v0009_unexplained_objects

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

METRICS: dict[str, tuple[Callable[[], TypeEngine[Any]], str]] = {
    "band_level": (sa.SmallInteger, "Bands per haploid set that the cell resolves; empty if unknown."),
    "band_level_low": (sa.SmallInteger, "Lower end of its interval of 90 %."),
    "band_level_high": (sa.SmallInteger, "Upper end of its interval of 90 %."),
    "outline_edits": (sa.REAL, "Expected chromosomes that are missed or falsely found; empty if not predicted."),
    "class_edits": (sa.REAL, "Expected chromosomes of a wrong class; empty if not predicted."),
}
"""Type and meaning of the new metrics."""
LABELS = {"culture": "Culture that the cell was grown in.", "colony": "Colony of an in situ culture."}
"""Meaning of the new labels of images."""


def upgrade() -> None:
    """Add the columns, empty for earlier images, and show them in the report."""
    for name, (kind, _) in METRICS.items():
        op.add_column("qc_metrics", sa.Column(name, kind()), schema="karyo")
    for name in LABELS:
        op.add_column("images", sa.Column(name, sa.Text()), schema="karyo")
    # Replacing a view keeps its rights; new columns are the last ones.
    _create_view(*image_quality())
    for name, meaning in ({name: meaning for name, (_, meaning) in METRICS.items()} | LABELS).items():
        op.execute(f"COMMENT ON COLUMN reporting.image_quality.{name} IS $${meaning}$$")


def downgrade() -> None:
    """Drop the columns."""
    op.execute("DROP VIEW reporting.image_quality")
    view = _former_view()
    _create_view(*_image_quality(view, [], []))
    op.execute(f"COMMENT ON VIEW reporting.image_quality IS $${view.comment}$$")
    meanings = view.columns | {v0009_unexplained_objects.COLUMN: v0009_unexplained_objects.MEANING}
    for column, meaning in meanings.items():
        current = v0008_headlines.COMMENTS.get(f"image_quality.{column}", meaning)
        op.execute(f"COMMENT ON COLUMN reporting.image_quality.{column} IS $${current}$$")
    op.execute("GRANT SELECT ON reporting.image_quality TO karyo_reporting")
    for name in LABELS:
        op.drop_column("images", name, schema="karyo")
    for name in METRICS:
        op.drop_column("qc_metrics", name, schema="karyo")


def image_quality() -> tuple[list[str], str]:
    """Return the columns of the report as of this version, and its query."""
    sources = [*(f"q.{name}" for name in METRICS), *(f"i.{name}" for name in LABELS)]
    return _image_quality(_former_view(), sources, [*METRICS, *LABELS])


def _former_view() -> v0002_reporting.View:
    return next(view for view in v0002_reporting.VIEWS if view.name == "image_quality")


def _image_quality(view: v0002_reporting.View, sources: list[str], names: list[str]) -> tuple[list[str], str]:
    earlier = v0009_unexplained_objects.COLUMN
    query = view.query.replace("q.flags", ", ".join(("q.flags", f"q.{earlier}", *sources)))
    return [*view.columns, earlier, *names], query


def _create_view(columns: list[str], query: str) -> None:
    op.execute(f"CREATE OR REPLACE VIEW reporting.image_quality ({', '.join(columns)}) AS {query}")
