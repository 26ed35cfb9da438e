"""The tables of schema ``karyo``.

Revision: 0001, the first.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

PARTITIONS = 16


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_sha256", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("key_sha256", name=op.f("uq_api_keys_key_sha256")),
        schema="karyo",
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
        schema="karyo",
    )
    op.create_index(op.f("ix_audit_events_at"), "audit_events", ["at"], unique=False, schema="karyo")
    op.create_table(
        "cases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("accession", sa.Text(), nullable=False),
        sa.Column("lab", sa.Text(), nullable=True),
        sa.Column("tissue", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("accession", name=op.f("uq_cases_accession")),
        schema="karyo",
    )
    op.create_table(
        "ingest_batches",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("new_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("duplicate_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rejected_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("kind IN ('folder', 'manifest', 'prefix', 'upload')", name=op.f("ck_ingest_batches_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ingest_batches")),
        schema="karyo",
    )
    op.create_table(
        "models",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("card", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_models")),
        sa.UniqueConstraint("sha256", name=op.f("uq_models_sha256")),
        schema="karyo",
    )
    op.create_table(
        "pipelines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipelines")),
        sa.UniqueConstraint("digest", name=op.f("uq_pipelines_digest")),
        schema="karyo",
    )
    op.create_table(
        "schedules",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("pipeline", sa.Text(), nullable=False),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("last_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedules")),
        sa.UniqueConstraint("name", name=op.f("uq_schedules_name")),
        schema="karyo",
    )
    op.create_table(
        "campaigns",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("enqueued_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("schedule_id", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["karyo.pipelines.id"], name=op.f("fk_campaigns_pipeline_id_pipelines")
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"],
            ["karyo.schedules.id"],
            name=op.f("fk_campaigns_schedule_id_schedules"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sa.UniqueConstraint("schedule_id", "due_at", name=op.f("uq_campaigns_schedule_id_due_at")),
        schema="karyo",
    )
    op.create_table(
        "case_results",
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'stale'"), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("image_count", sa.BigInteger(), nullable=True),
        sa.Column("cell_count", sa.BigInteger(), nullable=True),
        sa.Column("modal_count", sa.SmallInteger(), nullable=True),
        sa.Column("iscn", sa.Text(), nullable=True),
        sa.Column("summary", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("artefacts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('stale', 'done')", name=op.f("ck_case_results_state")),
        sa.ForeignKeyConstraint(["case_id"], ["karyo.cases.id"], name=op.f("fk_case_results_case_id_cases")),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["karyo.pipelines.id"], name=op.f("fk_case_results_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("case_id", "pipeline_id", name=op.f("pk_case_results")),
        schema="karyo",
    )
    op.create_index(
        "ix_case_results_stale",
        "case_results",
        ["updated_at"],
        unique=False,
        schema="karyo",
        postgresql_where=sa.text("state = 'stale'"),
    )
    op.create_table(
        "images",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("case_id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=True),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("format", sa.Text(), nullable=False),
        sa.Column("byte_count", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.BigInteger(), nullable=False),
        sa.Column("height", sa.BigInteger(), nullable=False),
        sa.Column("bit_depth", sa.SmallInteger(), nullable=False),
        sa.Column("slide", sa.Text(), nullable=True),
        sa.Column("banding", sa.Text(), nullable=True),
        sa.Column("microscope", sa.Text(), nullable=True),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"], ["karyo.ingest_batches.id"], name=op.f("fk_images_batch_id_ingest_batches")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["karyo.cases.id"], name=op.f("fk_images_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("sha256", name=op.f("uq_images_sha256")),
        schema="karyo",
    )
    op.create_index(op.f("ix_images_batch_id"), "images", ["batch_id"], unique=False, schema="karyo")
    op.create_index(op.f("ix_images_case_id"), "images", ["case_id"], unique=False, schema="karyo")
    op.create_table(
        "pipeline_aliases",
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["karyo.pipelines.id"], name=op.f("fk_pipeline_aliases_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_pipeline_aliases")),
        schema="karyo",
    )
    op.create_table(
        "rejections",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["karyo.ingest_batches.id"],
            name=op.f("fk_rejections_batch_id_ingest_batches"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejections")),
        schema="karyo",
    )
    op.create_index(op.f("ix_rejections_batch_id"), "rejections", ["batch_id"], unique=False, schema="karyo")
    op.create_table(
        "analyses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("image_id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("campaign_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_token", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.REAL(), nullable=True),
        sa.Column("iscn", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("artefacts", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "(state = 'running') = (lease_token IS NOT NULL)", name=op.f("ck_analyses_running_is_leased")
        ),
        sa.CheckConstraint(
            "(state IN ('done', 'failed', 'quarantined')) = (finished_at IS NOT NULL)",
            name=op.f("ck_analyses_ended_is_finished"),
        ),
        sa.CheckConstraint("state <> 'done' OR attempts > 0", name=op.f("ck_analyses_done_was_begun")),
        sa.CheckConstraint(
            "state IN ('pending', 'queued', 'running', 'done', 'failed', 'quarantined')", name=op.f("ck_analyses_state")
        ),
        sa.CheckConstraint(
            "state NOT IN ('failed', 'quarantined') OR reason IS NOT NULL", name=op.f("ck_analyses_failure_has_reason")
        ),
        sa.CheckConstraint(
            "(lease_token IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_analyses_lease_expires")
        ),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["karyo.campaigns.id"], name=op.f("fk_analyses_campaign_id_campaigns"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["image_id"], ["karyo.images.id"], name=op.f("fk_analyses_image_id_images")),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["karyo.pipelines.id"], name=op.f("fk_analyses_pipeline_id_pipelines")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analyses")),
        sa.UniqueConstraint("image_id", "pipeline_id", name=op.f("uq_analyses_image_id_pipeline_id")),
        schema="karyo",
    )
    op.create_index(
        op.f("ix_analyses_campaign_id"),
        "analyses",
        ["campaign_id"],
        unique=False,
        schema="karyo",
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.create_index(
        "ix_analyses_pending",
        "analyses",
        ["priority", "id"],
        unique=False,
        schema="karyo",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        op.f("ix_analyses_pipeline_id_state"), "analyses", ["pipeline_id", "state"], unique=False, schema="karyo"
    )
    op.create_index(
        "ix_analyses_queued",
        "analyses",
        ["queued_at"],
        unique=False,
        schema="karyo",
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_analyses_running",
        "analyses",
        ["lease_expires_at"],
        unique=False,
        schema="karyo",
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "chromosomes",
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.SmallInteger(), nullable=False),
        sa.Column("box", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("mask", sa.Text(), nullable=False),
        sa.Column("class_id", sa.SmallInteger(), nullable=True),
        sa.Column("class_score", sa.REAL(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("top5_classes", sa.ARRAY(sa.SmallInteger()), nullable=False),
        sa.Column("top5_scores", sa.ARRAY(sa.REAL()), nullable=False),
        sa.Column("length", sa.REAL(), nullable=False),
        sa.Column("width", sa.REAL(), nullable=False),
        sa.Column("centromere_index", sa.REAL(), nullable=True),
        sa.Column("orientation", sa.Text(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=True),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint("orientation IN ('p_up', 'p_down', 'unknown')", name=op.f("ck_chromosomes_orientation")),
        sa.CheckConstraint("class_id BETWEEN 1 AND 24", name=op.f("ck_chromosomes_class_id")),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["karyo.analyses.id"], name=op.f("fk_chromosomes_analysis_id_analyses"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("analysis_id", "ordinal", name=op.f("pk_chromosomes")),
        schema="karyo",
        postgresql_partition_by="HASH (analysis_id)",
    )
    for remainder in range(PARTITIONS):
        op.execute(
            f"CREATE TABLE karyo.chromosomes_p{remainder:02} PARTITION OF karyo.chromosomes "
            f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
        )
    op.create_table(
        "qc_metrics",
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("chromosome_count", sa.SmallInteger(), nullable=False),
        sa.Column("contrast_polarity", sa.Text(), nullable=False),
        sa.Column("focus", sa.REAL(), nullable=False),
        sa.Column("contrast", sa.REAL(), nullable=False),
        sa.Column("noise", sa.REAL(), nullable=False),
        sa.Column("background_unevenness", sa.REAL(), nullable=False),
        sa.Column("spread", sa.REAL(), nullable=False),
        sa.Column("chromosome_width", sa.REAL(), nullable=False),
        sa.Column("cluster_count", sa.SmallInteger(), nullable=False),
        sa.Column("overlap_count", sa.SmallInteger(), nullable=False),
        sa.Column("nucleus_count", sa.SmallInteger(), nullable=False),
        sa.Column("debris_count", sa.SmallInteger(), nullable=False),
        sa.Column("edge_contact_count", sa.SmallInteger(), nullable=False),
        sa.Column("class_confidence", sa.REAL(), nullable=False),
        sa.Column("score", sa.REAL(), nullable=False),
        sa.Column("flags", sa.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint(
            "contrast_polarity IN ('dark_on_light', 'light_on_dark')", name=op.f("ck_qc_metrics_contrast_polarity")
        ),
        sa.ForeignKeyConstraint(
            ["analysis_id"], ["karyo.analyses.id"], name=op.f("fk_qc_metrics_analysis_id_analyses"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("analysis_id", name=op.f("pk_qc_metrics")),
        schema="karyo",
    )
    op.create_table(
        "reviews",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("analysis_id", sa.BigInteger(), nullable=False),
        sa.Column("reviewer", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["analysis_id"], ["karyo.analyses.id"], name=op.f("fk_reviews_analysis_id_analyses")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
        schema="karyo",
    )
    op.create_index(op.f("ix_reviews_analysis_id"), "reviews", ["analysis_id"], unique=False, schema="karyo")


def downgrade() -> None:
    """Drop the tables with their data."""
    for table in (
        "reviews",
        "qc_metrics",
        "chromosomes",
        "analyses",
        "rejections",
        "pipeline_aliases",
        "images",
        "case_results",
        "campaigns",
        "schedules",
        "pipelines",
        "models",
        "ingest_batches",
        "cases",
        "audit_events",
        "api_keys",
    ):
        op.drop_table(table, schema="karyo")
