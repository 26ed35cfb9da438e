"""Heartbeats of workers, and an index of the latest failures.

Revision: 0005, after 0004.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add workers, and an index of failures."""
    now = sa.text("now()")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("processes", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=now, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
        schema="karyo",
    )
    op.create_index(
        "ix_analyses_failed",
        "analyses",
        ["finished_at"],
        schema="karyo",
        postgresql_where=sa.text("state IN ('failed', 'quarantined')"),
    )


def downgrade() -> None:
    """Drop workers and the index."""
    op.drop_index("ix_analyses_failed", "analyses", schema="karyo")
    op.drop_table("workers", schema="karyo")
