"""Karyotypes of cases are resolved or absent, and images that are no metaphase have none.

Revision: 0008, after 0007.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from db.migrations.versions import v0002_reporting

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = {
    "count_min": sa.SmallInteger,
    "count_max": sa.SmallInteger,
    "resolution": sa.Text,
    "why": sa.Text,
    "voters": sa.BigInteger,
    "karyotype_agreement": sa.REAL,
}
CHECKS = {
    "ck_case_results_resolution": "resolution IN ('resolved', 'one_cell', 'not_resolved')",
    "ck_case_results_iscn_is_resolved": "iscn IS NULL OR (resolution IS NOT NULL AND resolution <> 'not_resolved')",
}
MAX_COUNT = 50  # chromosomes; above it, a new analysis decides whether a cell is triploid or tetraploid

CASE_STATUS = """
    SELECT c.accession, c.lab, c.tissue, p.name, p.digest,
           count(i.id),
           count(i.id) FILTER (WHERE a.id IS NULL),
           count(a.id) FILTER (WHERE a.state = 'pending'),
           count(a.id) FILTER (WHERE a.state = 'queued'),
           count(a.id) FILTER (WHERE a.state = 'running'),
           count(a.id) FILTER (WHERE a.state = 'done'),
           count(a.id) FILTER (WHERE a.state = 'failed'),
           count(a.id) FILTER (WHERE a.state = 'quarantined'),
           CASE WHEN r.summary IS NULL AND (r.state IS NULL OR r.pipeline_id <> p.id) THEN 'none'
                WHEN r.state = 'done' AND r.pipeline_id = p.id THEN 'current' ELSE 'stale' END,
           r.cell_count, r.modal_count, r.iscn,
           greatest(max(a.finished_at), CASE WHEN r.summary IS NOT NULL THEN r.updated_at END),
           r.resolution, r.why, r.voters, r.karyotype_agreement, r.count_min, r.count_max,
           q.name, q.digest, q.id = p.id
    FROM karyo.cases c
    JOIN karyo.pipeline_aliases l ON l.alias = 'production'
    JOIN karyo.pipelines p ON p.id = l.pipeline_id
    LEFT JOIN karyo.images i ON i.case_id = c.id
    LEFT JOIN karyo.analyses a ON a.image_id = i.id AND a.pipeline_id = p.id
    LEFT JOIN LATERAL (
        SELECT s.pipeline_id FROM karyo.case_results s WHERE s.case_id = c.id
        ORDER BY s.summary IS NULL, s.pipeline_id <> p.id, s.updated_at DESC LIMIT 1
    ) shown ON true
    LEFT JOIN karyo.case_results r ON r.case_id = c.id AND r.pipeline_id = shown.pipeline_id
    LEFT JOIN karyo.pipelines q ON q.id = r.pipeline_id AND r.summary IS NOT NULL
    GROUP BY c.id, p.id, q.id, r.case_id, r.pipeline_id
"""
CASE_STATUS_COMMENT = (
    "Every case: its images by state under the pipeline in production, and its last result, which is that of the "
    "pipeline in production as soon as there is one."
)
NEW_COLUMNS = {
    "resolution": "resolved, one_cell (one cell alone makes the karyotype) or not_resolved.",
    "why": "Reason of the resolution, a sentence.",
    "voters": "Complete cells with the modal count.",
    "karyotype_agreement": "Share of the voters with exactly one karyotype, 0..1.",
    "count_min": "Smallest chromosome count of a cell.",
    "count_max": "Largest chromosome count of a cell.",
    "result_pipeline": "Name of the pipeline of the result, from the summary on; empty without a summary.",
    "result_pipeline_digest": "Digest of its document.",
    "result_in_production": "Whether the result is that of the pipeline in production.",
}
COMMENTS = {
    "case_status.summary": "none, stale (an image has ended since, or another pipeline is in production) or current.",
    "case_status.modal_count": "Commonest number of chromosomes of the complete cells, as of the summary.",
    "case_status.iscn": "Karyotype of the case, as of the summary; empty if it is not resolved.",
    "image_quality.iscn": "Karyotype of this cell as counted; empty if the image is no metaphase.",
}


def upgrade() -> None:
    """Add the resolution, summarise every case again, and show the last result of each."""
    for name, kind in COLUMNS.items():
        op.add_column("case_results", sa.Column(name, kind()), schema="karyo")
    op.execute(
        "UPDATE karyo.analyses a SET iscn = NULL FROM karyo.qc_metrics q "
        f"WHERE q.analysis_id = a.id AND q.chromosome_count > {MAX_COUNT} AND a.iscn IS NOT NULL"
    )
    op.execute(
        "UPDATE karyo.case_results SET iscn = NULL, state = 'stale', revision = revision + 1, sent_at = NULL "
        "WHERE summary IS NOT NULL"
    )
    for name, condition in CHECKS.items():
        op.create_check_constraint(op.f(name), "case_results", condition, schema="karyo")
    former = _view("case_status")
    _create_case_status({**former.columns, **NEW_COLUMNS}, CASE_STATUS_COMMENT, CASE_STATUS)
    for column, comment in COMMENTS.items():
        _comment(column, comment)


def downgrade() -> None:
    """Drop the resolution; karyotypes of cases return with their next summaries."""
    op.execute("DROP VIEW reporting.case_status")
    former = _view("case_status")
    _create_case_status(former.columns, former.comment, former.query)
    op.execute("GRANT SELECT ON reporting.case_status TO karyo_reporting")
    _comment("image_quality.iscn", _view("image_quality").columns["iscn"])
    for name in CHECKS:
        op.drop_constraint(op.f(name), "case_results", schema="karyo", type_="check")
    for name in COLUMNS:
        op.drop_column("case_results", name, schema="karyo")


def _view(name: str) -> v0002_reporting.View:
    return next(view for view in v0002_reporting.VIEWS if view.name == name)


def _create_case_status(columns: dict[str, str], comment: str, query: str) -> None:
    # Replacing a view keeps its rights.
    op.execute(f"CREATE OR REPLACE VIEW reporting.case_status ({', '.join(columns)}) AS {query}")
    op.execute(f"COMMENT ON VIEW reporting.case_status IS $${comment}$$")
    for column, meaning in columns.items():
        _comment(f"case_status.{column}", meaning)


def _comment(column: str, meaning: str) -> None:
    op.execute(f"COMMENT ON COLUMN reporting.{column} IS $${meaning}$$")
