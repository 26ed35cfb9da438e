"""Erasure and retention: a way past triggers, objects to delete, removed artefacts.

Revision: 0013, after 0012.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# The event that the transaction has appended last allows the changes that it names, and no transaction after it. Its
# writer holds the lock of the chain, so no other event follows before the commit.
ALLOW_ERASURE = """
CREATE OR REPLACE FUNCTION karyo.forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
    previous text;
BEGIN
    SELECT action, subject, detail, xmin = pg_current_xact_id()::xid AS is_own
    INTO last FROM karyo.audit_events ORDER BY id DESC LIMIT 1;
    IF last.is_own AND last.action = 'case.erased' THEN
        IF TG_OP = 'DELETE' AND TG_TABLE_NAME IN ('reviews', 'sign_offs') THEN
            IF last.subject = 'case:' || OLD.case_id THEN
                RETURN OLD;
            END IF;
        ELSIF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'audit_events' THEN
            SELECT hash INTO previous FROM karyo.audit_events WHERE id < OLD.id ORDER BY id DESC LIMIT 1;
            IF (NEW.id, NEW.at, NEW.hash) = (OLD.id, OLD.at, OLD.hash)
                AND last.detail -> 'redacted' ->> OLD.id::text = karyo.audit_hash(coalesce(previous, ''), NEW)
            THEN
                RETURN NEW;
            END IF;
        END IF;
    END IF;
    RAISE EXCEPTION 'karyo.% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$
"""
FORBID_CHANGE = """
CREATE OR REPLACE FUNCTION karyo.forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'karyo.% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$
"""


def upgrade() -> None:
    """Add table and column, and let an event of erasure allow what it names."""
    op.create_table(
        "discarded_objects",
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("object_key", name=op.f("pk_discarded_objects")),
        schema="karyo",
    )
    op.add_column("analyses", sa.Column("removed_artefacts", postgresql.JSONB(astext_type=sa.Text())), schema="karyo")
    op.execute(ALLOW_ERASURE)


def downgrade() -> None:
    """Drop table and column; an earlier version finds redacted events broken."""
    op.execute(FORBID_CHANGE)
    op.drop_column("analyses", "removed_artefacts", schema="karyo")
    op.drop_table("discarded_objects", schema="karyo")
