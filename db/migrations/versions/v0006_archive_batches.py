"""Batches of ingest may come from zip archives.

Revision: 0006, after 0005.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = "ck_ingest_batches_kind"
KINDS = "kind IN ('folder', 'archive', 'manifest', 'prefix', 'upload')"
FORMER_KINDS = "kind IN ('folder', 'manifest', 'prefix', 'upload')"


def upgrade() -> None:
    """Allow batches of kind ``archive``."""
    _replace_check(KINDS)


def downgrade() -> None:
    """Forbid batches of kind ``archive``; existing ones become folders."""
    # The former schema knows no archives; a folder is what it recorded for a set of files.
    op.execute("UPDATE karyo.ingest_batches SET kind = 'folder' WHERE kind = 'archive'")
    _replace_check(FORMER_KINDS)


def _replace_check(condition: str) -> None:
    op.drop_constraint(op.f(NAME), "ingest_batches", schema="karyo", type_="check")
    op.create_check_constraint(op.f(NAME), "ingest_batches", condition, schema="karyo")
