"""Pipelines can be retired, and workers record what they can run.

Revision: 0007, after 0006.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the time of retirement, and the code version and networks of workers."""
    op.add_column("pipelines", sa.Column("retired_at", sa.DateTime(timezone=True)), schema="karyo")
    op.add_column("workers", sa.Column("code_version", sa.Text()), schema="karyo")
    op.add_column("workers", sa.Column("networks", sa.ARRAY(sa.Text())), schema="karyo")


def downgrade() -> None:
    """Drop the columns; retired pipelines can be chosen again."""
    op.drop_column("workers", "networks", schema="karyo")
    op.drop_column("workers", "code_version", schema="karyo")
    op.drop_column("pipelines", "retired_at", schema="karyo")
