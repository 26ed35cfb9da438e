"""Corrections and sign-offs are append-only, and audit events form one hash chain.

Revision: 0010, after 0009.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

LOCK_KEY = 0x6175646974  # "audit"
APPEND_ONLY = ("audit_events", "reviews", "sign_offs")
ACTION_CHECK = "action IN ('reclassify', 'reject', 'split', 'merge', 'flip', 'add', 'reject_cell', 'comment', 'undo')"

FORBID_CHANGE = """
CREATE FUNCTION karyo.forbid_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'karyo.% is append-only: % is refused', TG_TABLE_NAME, TG_OP;
END
$$
"""
# JSON texts hold no line break, so that lines separate the values. Python computes the same in db.audit.
AUDIT_HASH = """
CREATE FUNCTION karyo.audit_hash(previous text, event karyo.audit_events) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(concat_ws(E'\\n', previous, event.id,
        to_char(event.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        to_json(event.actor), to_json(event.action), to_json(event.subject), event.detail), 'UTF8')), 'hex')
$$
"""
# The statement after the lock sees what its last holder has committed. Numbers follow the order of the chain.
CHAIN_EVENT = f"""
CREATE FUNCTION karyo.chain_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    PERFORM pg_advisory_xact_lock({LOCK_KEY});
    SELECT id, hash INTO last FROM karyo.audit_events ORDER BY id DESC LIMIT 1;
    NEW.id := coalesce(last.id, 0) + 1;
    NEW.at := clock_timestamp();
    NEW.hash := karyo.audit_hash(coalesce(last.hash, ''), NEW);
    RETURN NEW;
END
$$
"""
CHAIN_EARLIER_EVENTS = """
DO $$
DECLARE
    event karyo.audit_events;
    last text := '';
BEGIN
    FOR event IN SELECT * FROM karyo.audit_events ORDER BY id LOOP
        last := karyo.audit_hash(last, event);
        UPDATE karyo.audit_events SET hash = last WHERE id = event.id;
    END LOOP;
END
$$
"""

# Only a downgrade leaves reviews without these columns.
CHAIN_EARLIER_REVIEWS = """
    UPDATE karyo.reviews r SET case_id = earlier.case_id, follows = earlier.follows
    FROM (SELECT s.id, i.case_id, coalesce(lag(s.id) OVER (PARTITION BY s.analysis_id ORDER BY s.id), 0) AS follows
          FROM karyo.reviews s
          JOIN karyo.analyses a ON a.id = s.analysis_id
          JOIN karyo.images i ON i.id = a.image_id) earlier
    WHERE earlier.id = r.id
"""

SIGNED_RESULTS_COMMENT = "The last sign-off of every case that has one, and whether it holds."
SIGNED_RESULTS = {
    "accession": "The laboratory's pseudonymous accession number.",
    "lab": "Laboratory.",
    "tissue": "Tissue.",
    "state": "signed, first_signed (the second reader is missing) or reopened (corrected or analysed further since).",
    "iscn": "Karyotype as signed; empty if the sign-off states none.",
    "cells": "Cells of the signed result, without rejected ones.",
    "corrections": "Corrections that the signed result contains, with those that were undone.",
    "pipeline": "Name of the pipeline whose results were signed.",
    "pipeline_digest": "Digest of its document.",
    "first_reader": "Who signed first.",
    "second_reader": "Who signed second; empty if there is none.",
    "signed_at": "When the last reader signed, UTC.",
}
# The order is that of an index, and a scalar subquery per image forces an index lookup, also without statistics.
SIGNED_RESULTS_QUERY = """
    SELECT c.accession, c.lab, c.tissue,
           CASE WHEN EXISTS (SELECT FROM karyo.reviews r
                             WHERE r.case_id = c.id AND r.id > s.last_review_id AND r.action <> 'comment')
                  OR EXISTS (SELECT FROM karyo.images i
                             WHERE i.case_id = c.id
                               AND (SELECT CASE a.state WHEN 'done' THEN a.id END FROM karyo.analyses a
                                    WHERE a.image_id = i.id AND a.pipeline_id = s.pipeline_id)
                                   <> ALL (s.analysis_ids))
                THEN 'reopened'
                WHEN s.position = s.required THEN 'signed' ELSE 'first_signed' END,
           s.iscn, CAST(s.result ->> 'cell_count' AS bigint),
           (SELECT count(*) FROM karyo.reviews r
            WHERE r.case_id = c.id AND r.analysis_id = ANY (s.analysis_ids) AND r.id <= s.last_review_id
              AND r.action NOT IN ('comment', 'undo')),
           p.name, p.digest, coalesce(s.first_reader, s.reader), CASE WHEN s.position = 2 THEN s.reader END,
           s.created_at
    FROM karyo.cases c
    JOIN LATERAL (SELECT * FROM karyo.sign_offs o WHERE o.case_id = c.id ORDER BY o.follows DESC LIMIT 1) s ON true
    JOIN karyo.pipelines p ON p.id = s.pipeline_id
"""


def upgrade() -> None:
    """Add what a correction follows, sign-offs, their report, and the hash of every audit event."""
    _extend_reviews()
    _create_sign_offs()
    _create_report()
    op.execute("ALTER TABLE karyo.audit_events ALTER COLUMN id DROP IDENTITY")
    op.add_column("audit_events", sa.Column("hash", sa.Text()), schema="karyo")
    for statement in (FORBID_CHANGE, AUDIT_HASH, CHAIN_EVENT, CHAIN_EARLIER_EVENTS):
        op.execute(statement)
    op.alter_column("audit_events", "hash", nullable=False, schema="karyo")
    op.execute(
        "CREATE TRIGGER chain BEFORE INSERT ON karyo.audit_events "
        "FOR EACH ROW EXECUTE FUNCTION karyo.chain_audit_event()"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON karyo.{table} "
            "FOR EACH ROW EXECUTE FUNCTION karyo.forbid_change()"
        )
        op.execute(
            f"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON karyo.{table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION karyo.forbid_change()"
        )


def downgrade() -> None:
    """Drop sign-offs and hashes; corrections and events stay."""
    op.execute("DROP VIEW reporting.signed_results")
    op.drop_table("sign_offs", schema="karyo")
    for table in ("audit_events", "reviews"):
        op.execute(f"DROP TRIGGER append_only ON karyo.{table}")
        op.execute(f"DROP TRIGGER no_truncate ON karyo.{table}")
    op.execute("DROP TRIGGER chain ON karyo.audit_events")
    op.execute("DROP FUNCTION karyo.chain_audit_event(), karyo.audit_hash(text, karyo.audit_events)")
    op.execute("DROP FUNCTION karyo.forbid_change()")
    op.drop_column("audit_events", "hash", schema="karyo")
    op.execute("ALTER TABLE karyo.audit_events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        "SELECT setval(pg_get_serial_sequence('karyo.audit_events', 'id'), max(id)) "
        "FROM karyo.audit_events HAVING max(id) IS NOT NULL"
    )
    op.drop_column("reviews", "follows", schema="karyo")
    op.drop_column("reviews", "case_id", schema="karyo")
    op.drop_constraint(op.f("ck_reviews_action"), "reviews", schema="karyo", type_="check")


def _extend_reviews() -> None:
    for column in ("case_id", "follows"):
        op.add_column("reviews", sa.Column(column, sa.BigInteger()), schema="karyo")
    op.execute(CHAIN_EARLIER_REVIEWS)
    for column in ("case_id", "follows"):
        op.alter_column("reviews", column, nullable=False, schema="karyo")
    op.create_foreign_key(
        op.f("fk_reviews_case_id_cases"), "reviews", "cases", ["case_id"], ["id"],
        source_schema="karyo", referent_schema="karyo",
    )  # fmt: skip
    op.create_unique_constraint(
        op.f("uq_reviews_analysis_id_follows"), "reviews", ["analysis_id", "follows"], schema="karyo"
    )
    op.create_index(op.f("ix_reviews_case_id_id"), "reviews", ["case_id", "id"], schema="karyo")
    op.create_check_constraint(op.f("ck_reviews_action"), "reviews", ACTION_CHECK, schema="karyo")


def _create_sign_offs() -> None:
    op.create_table(
        "sign_offs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("required", sa.SmallInteger(), nullable=False),
        sa.Column("follows", sa.BigInteger(), nullable=False),
        sa.Column("first_reader", sa.Text(), nullable=True),
        sa.Column("analysis_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("last_review_id", sa.BigInteger(), nullable=False),
        sa.Column("iscn", sa.Text(), nullable=True),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "required IN (1, 2) AND position BETWEEN 1 AND required", name=op.f("ck_sign_offs_position")
        ),
        sa.CheckConstraint("(position = 1) = (first_reader IS NULL)", name=op.f("ck_sign_offs_second_names_first")),
        sa.CheckConstraint(
            "first_reader IS NULL OR lower(first_reader) <> lower(reader)", name=op.f("ck_sign_offs_second_is_another")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["karyo.cases.id"], name=op.f("fk_sign_offs_case_id_cases")),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["karyo.pipelines.id"], name=op.f("fk_sign_offs_pipeline_id_pipelines")
        ),
        sa.ForeignKeyConstraint(
            ["follows", "first_reader"],
            ["karyo.sign_offs.id", "karyo.sign_offs.reader"],
            name=op.f("fk_sign_offs_follows_first_reader_sign_offs"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_offs")),
        sa.UniqueConstraint("id", "reader", name=op.f("uq_sign_offs_id_reader")),
        sa.UniqueConstraint("case_id", "follows", name=op.f("uq_sign_offs_case_id_follows")),
        schema="karyo",
    )


def _create_report() -> None:
    name = "reporting.signed_results"
    op.execute(f"CREATE VIEW {name} ({', '.join(SIGNED_RESULTS)}) AS {SIGNED_RESULTS_QUERY}")
    op.execute(f"COMMENT ON VIEW {name} IS $${SIGNED_RESULTS_COMMENT}$$")
    for column, meaning in SIGNED_RESULTS.items():
        op.execute(f"COMMENT ON COLUMN {name}.{column} IS $${meaning}$$")
    op.execute(f"GRANT SELECT ON {name} TO karyo_reporting")
