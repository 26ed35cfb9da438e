"""Attempts that several images share: if their process dies, these attempts do not count.

Revision: 0003, after 0002.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add ``analyses.shared``."""
    op.add_column(
        "analyses", sa.Column("shared", sa.Boolean(), server_default=sa.text("false"), nullable=False), schema="karyo"
    )


def downgrade() -> None:
    """Drop ``analyses.shared``."""
    op.drop_column("analyses", "shared", schema="karyo")
