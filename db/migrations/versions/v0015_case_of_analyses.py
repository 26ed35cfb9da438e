"""Analyses know their case, so that reports count and look up without reading every image.

Revision: 0015, after 0014.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.migrations.versions import v0002_reporting, v0012_reporting_version_1, v0014_cell_ranking
from db.migrations.views.status import CASE_STATUS_QUERY

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ROWS_PER_COMMIT = 50_000
_COPY = """
    UPDATE karyo.analyses a SET case_id = i.case_id FROM karyo.images i
    WHERE i.id = a.image_id AND a.case_id IS NULL AND {rows}
"""
_FOREIGN_KEY = "fk_analyses_image_id_images"
_FOREIGN_KEY_OF_BOTH = "fk_analyses_case_id_image_id_images"
_UNIQUE = "uq_images_case_id_id"

# Both counts are read from an index alone, case by case, so conditions on cases limit them too.
CASE_STATUS = """
    SELECT c.accession, c.lab, c.tissue, p.name, p.digest, i.images, i.images - a.requested, a.pending, a.queued,
           a.running, a.done, a.failed, a.quarantined,
           CASE WHEN r.summary IS NULL AND (r.state IS NULL OR r.pipeline_id <> p.id) THEN 'none'
                WHEN r.state = 'done' AND r.pipeline_id = p.id THEN 'current' ELSE 'stale' END,
           r.cell_count, r.modal_count, r.iscn,
           greatest(a.finished_at, CASE WHEN r.summary IS NOT NULL THEN r.updated_at END),
           r.resolution, r.why, r.voters, r.karyotype_agreement, r.count_min, r.count_max,
           q.name, q.digest, q.id = p.id, r.summary ->> 'outcome', coalesce(s.state, 'none'),
           g.iscn, g.first_reader, g.second_reader, g.signed_at, g.pipeline, g.pipeline_digest,
           c.created_at
    FROM karyo.cases c
    JOIN karyo.pipeline_aliases l ON l.alias = 'production'
    JOIN karyo.pipelines p ON p.id = l.pipeline_id
    CROSS JOIN LATERAL (SELECT count(*) AS images FROM karyo.images WHERE case_id = c.id) i
    CROSS JOIN LATERAL (
        SELECT count(*) AS requested,
               count(*) FILTER (WHERE state = 'pending') AS pending,
               count(*) FILTER (WHERE state = 'queued') AS queued,
               count(*) FILTER (WHERE state = 'running') AS running,
               count(*) FILTER (WHERE state = 'done') AS done,
               count(*) FILTER (WHERE state = 'failed') AS failed,
               count(*) FILTER (WHERE state = 'quarantined') AS quarantined,
               max(finished_at) AS finished_at
        FROM karyo.analyses WHERE pipeline_id = p.id AND case_id = c.id
    ) a
    LEFT JOIN LATERAL (
        SELECT t.pipeline_id FROM karyo.case_results t WHERE t.case_id = c.id
        ORDER BY t.summary IS NULL, t.pipeline_id <> p.id, t.updated_at DESC LIMIT 1
    ) shown ON true
    LEFT JOIN karyo.case_results r ON r.case_id = c.id AND r.pipeline_id = shown.pipeline_id
    LEFT JOIN karyo.pipelines q ON q.id = r.pipeline_id AND r.summary IS NOT NULL
    LEFT JOIN reporting.signed_results s ON s.accession = c.accession
    LEFT JOIN LATERAL (SELECT s.* WHERE s.state = 'signed') g ON true
"""
# Rows of one period are neighbours in every table, which the planner does not know: it would read metrics and images
# from end to end. OFFSET 0 makes it look up both by key.
_IMAGE_QUALITY_TABLES = """
    FROM karyo.analyses a
    JOIN karyo.pipelines p ON p.id = a.pipeline_id
    JOIN karyo.cases c ON c.id = a.case_id
    CROSS JOIN LATERAL (SELECT * FROM karyo.qc_metrics WHERE analysis_id = a.id OFFSET 0) q
    CROSS JOIN LATERAL (
        SELECT slide, banding, microscope, file_name, sha256, culture, colony
        FROM karyo.images WHERE id = a.image_id OFFSET 0
    ) i
"""
# The newest image of each group is looked up after the grouping.
_FAILED_FILE = "(array_agg(i.file_name ORDER BY a.finished_at DESC, a.id DESC))[1]"
_FAILED_FILE_BY_KEY = """
    (SELECT i.file_name FROM karyo.images i
     WHERE i.id = (array_agg(a.image_id ORDER BY a.finished_at DESC, a.id DESC))[1])
"""
_FAILED_IMAGES = "JOIN karyo.images i ON i.id = a.image_id"


def upgrade() -> None:
    """Copy the case of each image to its analyses, and read it in both reports.

    Rows are copied in batches, each with a commit; a repetition goes on where an interrupted migration ended.
    """
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE karyo.analyses ADD COLUMN IF NOT EXISTS case_id bigint")
        last = op.get_bind().scalar(sa.text("SELECT coalesce(max(id), 0) FROM karyo.analyses"))
        for first in range(0, last, ROWS_PER_COMMIT):
            op.execute(_COPY.format(rows=f"a.id > {first} AND a.id <= {first + ROWS_PER_COMMIT}"))
        op.execute("VACUUM (ANALYZE) karyo.analyses")
    op.execute("LOCK TABLE karyo.images, karyo.analyses IN ACCESS EXCLUSIVE MODE")
    op.execute(_COPY.format(rows="true"))  # analyses that were added during the copy
    op.alter_column("analyses", "case_id", nullable=False, schema="karyo")
    op.create_unique_constraint(op.f(_UNIQUE), "images", ["case_id", "id"], schema="karyo")
    op.drop_index("ix_images_case_id", "images", schema="karyo")
    op.drop_constraint(_FOREIGN_KEY, "analyses", schema="karyo")
    op.create_foreign_key(
        op.f(_FOREIGN_KEY_OF_BOTH), "analyses", "images", ["case_id", "image_id"], ["case_id", "id"],
        source_schema="karyo", referent_schema="karyo",
    )  # fmt: skip
    op.create_index(
        "ix_analyses_pipeline_id_case_id", "analyses", ["pipeline_id", "case_id"], schema="karyo",
        postgresql_include=["state", "finished_at"],
    )  # fmt: skip
    op.create_index(
        "ix_analyses_active", "analyses", ["pipeline_id", "state"], schema="karyo",
        postgresql_where=sa.text("state IN ('pending', 'queued', 'running')"),
    )  # fmt: skip
    op.drop_index("ix_analyses_pipeline_id_state", "analyses", schema="karyo")
    columns, query = v0014_cell_ranking.image_quality()
    head, _ = query.split("FROM karyo.qc_metrics q")
    _replace("image_quality", columns, head + _IMAGE_QUALITY_TABLES)
    _replace("case_status", v0012_reporting_version_1.case_status_columns(), CASE_STATUS)
    columns, query = _failures()
    query = query.replace(_FAILED_FILE, _FAILED_FILE_BY_KEY).replace(_FAILED_IMAGES, "")
    _replace("failures_by_reason", columns, query)


def downgrade() -> None:
    """Read the former views, and drop the copy."""
    _replace("failures_by_reason", *_failures())
    _replace("case_status", v0012_reporting_version_1.case_status_columns(), CASE_STATUS_QUERY)
    _replace("image_quality", *v0014_cell_ranking.image_quality())
    op.create_index("ix_analyses_pipeline_id_state", "analyses", ["pipeline_id", "state"], schema="karyo")
    for name in ("ix_analyses_active", "ix_analyses_pipeline_id_case_id"):
        op.drop_index(name, "analyses", schema="karyo")
    op.drop_constraint(_FOREIGN_KEY_OF_BOTH, "analyses", schema="karyo")
    op.create_foreign_key(
        op.f(_FOREIGN_KEY), "analyses", "images", ["image_id"], ["id"], source_schema="karyo", referent_schema="karyo"
    )
    op.create_index("ix_images_case_id", "images", ["case_id"], schema="karyo")
    op.drop_constraint(_UNIQUE, "images", schema="karyo")
    op.drop_column("analyses", "case_id", schema="karyo")


def _failures() -> tuple[list[str], str]:
    view = next(view for view in v0002_reporting.VIEWS if view.name == "failures_by_reason")
    return list(view.columns), view.query


def _replace(name: str, columns: list[str], query: str) -> None:
    """Give a view another query; it keeps its columns, rights and comments."""
    op.execute(f"CREATE OR REPLACE VIEW reporting.{name} ({', '.join(columns)}) AS {query}")
