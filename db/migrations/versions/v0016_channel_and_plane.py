"""Images have the channel and the plane that are analysed.

Revision: 0016, after 0015.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns, empty for earlier images, whose files have one of both."""
    op.add_column("images", sa.Column("channel", sa.Text()), schema="karyo")
    op.add_column("images", sa.Column("plane", sa.SmallInteger()), schema="karyo")


def downgrade() -> None:
    """Drop the columns.

    Files with several channels or planes are then rejected when they are analysed again.
    """
    for name in ("plane", "channel"):
        op.drop_column("images", name, schema="karyo")
