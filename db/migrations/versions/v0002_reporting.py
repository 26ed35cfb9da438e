"""Schema ``reporting``: views with documented columns, and a role that reads only them.

Revision: 0002, after 0001.
"""

from __future__ import annotations

from typing import NamedTuple

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


class View(NamedTuple):
    """A view with the meaning of each column, in order, and its query."""

    name: str
    comment: str
    columns: dict[str, str]
    query: str


def _throughput(name: str, unit: str) -> View:
    return View(
        name,
        f"Analyses that ended per {unit} (UTC) and pipeline, and how long they took.",
        {
            unit: f"Start of the {unit}, UTC.",
            "pipeline": "Name of the pipeline.",
            "pipeline_digest": "Digest of the pipeline's document.",
            "images": "Analyses that ended, whichever way.",
            "done": "Analyses with a result.",
            "failed": "Analyses that ended with a named failure.",
            "quarantined": "Analyses given up after repeated failures.",
            "seconds_median": "Median time of computing one image, seconds; done ones only.",
            "seconds_p95": "95th percentile of the same.",
            "turnaround_median_seconds": "Median time from being asked for, at ingest or by a campaign, to the end.",
            "turnaround_p95_seconds": "95th percentile of the same.",
        },
        f"""
        SELECT date_trunc('{unit}', a.finished_at, 'UTC'), p.name, p.digest,
               count(*),
               count(*) FILTER (WHERE a.state = 'done'),
               count(*) FILTER (WHERE a.state = 'failed'),
               count(*) FILTER (WHERE a.state = 'quarantined'),
               percentile_cont(0.5) WITHIN GROUP (ORDER BY a.seconds),
               percentile_cont(0.95) WITHIN GROUP (ORDER BY a.seconds),
               percentile_cont(0.5) WITHIN GROUP (
                   ORDER BY extract(epoch FROM a.finished_at - a.created_at)::double precision),
               percentile_cont(0.95) WITHIN GROUP (
                   ORDER BY extract(epoch FROM a.finished_at - a.created_at)::double precision)
        FROM karyo.analyses a JOIN karyo.pipelines p ON p.id = a.pipeline_id
        WHERE a.finished_at IS NOT NULL
        GROUP BY 1, p.id
        """,
    )


VIEWS = (
    _throughput("throughput", "hour"),
    _throughput("throughput_daily", "day"),
    View(
        "case_status",
        "Every case under the pipeline that is in production: its images by state, and what they say together.",
        {
            "accession": "The laboratory's pseudonymous accession number.",
            "lab": "Laboratory.",
            "tissue": "Tissue.",
            "pipeline": "Name of the pipeline in production.",
            "pipeline_digest": "Digest of its document.",
            "images": "Images of the case.",
            "not_requested": "Images that this pipeline was not asked to analyse.",
            "pending": "Images that wait.",
            "queued": "Images handed to the broker.",
            "running": "Images that a worker holds.",
            "done": "Images with a result.",
            "failed": "Images that ended with a named failure.",
            "quarantined": "Images given up after repeated failures.",
            "summary": "none, stale (an image has ended since) or current.",
            "cells": "Cells that the summary counts.",
            "modal_count": "Commonest number of chromosomes per cell, as of the summary.",
            "iscn": "Consensus karyotype, as of the summary.",
            "updated_at": "When an image last ended or the summary was last written, whichever is later.",
        },
        """
        SELECT c.accession, c.lab, c.tissue, p.name, p.digest,
               count(i.id),
               count(i.id) FILTER (WHERE a.id IS NULL),
               count(a.id) FILTER (WHERE a.state = 'pending'),
               count(a.id) FILTER (WHERE a.state = 'queued'),
               count(a.id) FILTER (WHERE a.state = 'running'),
               count(a.id) FILTER (WHERE a.state = 'done'),
               count(a.id) FILTER (WHERE a.state = 'failed'),
               count(a.id) FILTER (WHERE a.state = 'quarantined'),
               CASE WHEN r.updated_at IS NULL THEN 'none' WHEN r.state = 'done' THEN 'current' ELSE 'stale' END,
               r.cell_count, r.modal_count, r.iscn,
               greatest(max(a.finished_at), CASE WHEN r.summary IS NOT NULL THEN r.updated_at END)
        FROM karyo.cases c
        JOIN karyo.pipeline_aliases l ON l.alias = 'production'
        JOIN karyo.pipelines p ON p.id = l.pipeline_id
        LEFT JOIN karyo.images i ON i.case_id = c.id
        LEFT JOIN karyo.analyses a ON a.image_id = i.id AND a.pipeline_id = p.id
        LEFT JOIN karyo.case_results r ON r.case_id = c.id AND r.pipeline_id = p.id
        GROUP BY c.id, p.id, r.case_id, r.pipeline_id
        """,
    ),
    View(
        "image_quality",
        "Quality control of every image that has a result, one row per analysis.",
        {
            "accession": "Case.",
            "lab": "Laboratory.",
            "tissue": "Tissue.",
            "slide": "Slide.",
            "banding": "Banding or stain.",
            "microscope": "Microscope.",
            "file_name": "Name of the file as it came in.",
            "image_sha256": "SHA-256 of the file.",
            "pipeline": "Name of the pipeline.",
            "pipeline_digest": "Digest of its document.",
            "in_production": "Whether this pipeline is the one in production.",
            "analysed_at": "When the analysis ended.",
            "iscn": "Karyotype of this cell as counted.",
            "chromosome_count": "Chromosomes found.",
            "contrast_polarity": "dark_on_light (bright field) or light_on_dark (fluorescence).",
            "focus": "Edge sharpness relative to contrast; higher is sharper.",
            "contrast": "Stain of the chromosomes above background, 0..1 of the image's range.",
            "noise": "Standard deviation of the background, 0..1 of the image's range.",
            "background_unevenness": "Spread of the background, 0..1 of the image's range.",
            "spread": "Area of the metaphase over the area of its chromosomes.",
            "chromosome_width": "Median chromosome width, pixels.",
            "cluster_count": "Contours that held more than one chromosome.",
            "overlap_count": "Places where chromosomes lie across each other.",
            "nucleus_count": "Interphase nuclei.",
            "debris_count": "Pieces of dirt.",
            "edge_contact_count": "Chromosomes cut by the border of the image.",
            "class_confidence": "Median confidence of the chromosomes' classes, 0..1.",
            "score": "How suitable the image is for karyotyping, 0..1.",
            "flags": "What a person should look at.",
        },
        """
        SELECT c.accession, c.lab, c.tissue, i.slide, i.banding, i.microscope, i.file_name, i.sha256, p.name, p.digest,
               EXISTS (SELECT FROM karyo.pipeline_aliases l WHERE l.alias = 'production' AND l.pipeline_id = p.id),
               a.finished_at, a.iscn, q.chromosome_count, q.contrast_polarity, q.focus, q.contrast, q.noise,
               q.background_unevenness, q.spread, q.chromosome_width, q.cluster_count, q.overlap_count,
               q.nucleus_count, q.debris_count, q.edge_contact_count, q.class_confidence, q.score, q.flags
        FROM karyo.qc_metrics q
        JOIN karyo.analyses a ON a.id = q.analysis_id
        JOIN karyo.pipelines p ON p.id = a.pipeline_id
        JOIN karyo.images i ON i.id = a.image_id
        JOIN karyo.cases c ON c.id = i.case_id
        """,
    ),
    View(
        "failures_by_reason",
        "Why files were not taken in and images not analysed.",
        {
            "stage": "ingest (the file was rejected) or analysis.",
            "reason": "Name of the reason.",
            "pipeline": "Name of the pipeline; empty at ingest.",
            "pipeline_digest": "Digest of its document; empty at ingest.",
            "images": "Files or images that ended so.",
            "first_at": "First time.",
            "last_at": "Last time.",
            "example_file": "The file that it last happened to.",
            "example_sentence": "What was said of it.",
        },
        """
        SELECT 'ingest', r.reason, NULL, NULL, count(*), min(r.created_at), max(r.created_at),
               (array_agg(r.file_name ORDER BY r.created_at DESC, r.id DESC))[1],
               (array_agg(r.sentence ORDER BY r.created_at DESC, r.id DESC))[1]
        FROM karyo.rejections r
        GROUP BY r.reason
        UNION ALL
        SELECT 'analysis', a.reason, p.name, p.digest, count(*), min(a.finished_at), max(a.finished_at),
               (array_agg(i.file_name ORDER BY a.finished_at DESC, a.id DESC))[1],
               (array_agg(a.error ORDER BY a.finished_at DESC, a.id DESC))[1]
        FROM karyo.analyses a
        JOIN karyo.images i ON i.id = a.image_id
        JOIN karyo.pipelines p ON p.id = a.pipeline_id
        WHERE a.state IN ('failed', 'quarantined')
        GROUP BY a.reason, p.id
        """,
    ),
    View(
        "backlog",
        "What has not ended yet, by priority and pipeline, and how long the oldest has been waiting.",
        {
            "priority": "stat, routine or backlog.",
            "pipeline": "Name of the pipeline.",
            "pipeline_digest": "Digest of its document.",
            "pending": "Images that wait.",
            "queued": "Images handed to the broker.",
            "running": "Images that a worker holds.",
            "oldest_at": "When the oldest of them was asked for.",
            "oldest_seconds": "Its age, seconds.",
        },
        """
        SELECT CASE a.priority WHEN 0 THEN 'stat' WHEN 1 THEN 'routine' WHEN 2 THEN 'backlog' ELSE a.priority::text END,
               p.name, p.digest,
               count(*) FILTER (WHERE a.state = 'pending'),
               count(*) FILTER (WHERE a.state = 'queued'),
               count(*) FILTER (WHERE a.state = 'running'),
               min(a.created_at),
               extract(epoch FROM now() - min(a.created_at))::double precision
        FROM karyo.analyses a JOIN karyo.pipelines p ON p.id = a.pipeline_id
        WHERE a.state IN ('pending', 'queued', 'running')
        GROUP BY a.priority, p.id
        """,
    ),
)

# Roles belong to the whole server: another of its databases may make the same one at the same moment.
CREATE_ROLE = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'karyo_reporting') THEN
        CREATE ROLE karyo_reporting NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;
END
$$
"""


def _quoted(comment: str) -> str:
    return "'" + comment.replace("'", "''") + "'"


def upgrade() -> None:
    """Create the views and the role that reads them."""
    op.execute("CREATE SCHEMA reporting")
    op.execute("COMMENT ON SCHEMA reporting IS 'Stable views for reports; grant karyo_reporting to those who may read'")
    for view in VIEWS:
        name = f"reporting.{view.name}"
        op.execute(f"CREATE VIEW {name} ({', '.join(view.columns)}) AS {view.query}")
        op.execute(f"COMMENT ON VIEW {name} IS {_quoted(view.comment)}")
        for column, comment in view.columns.items():
            op.execute(f"COMMENT ON COLUMN {name}.{column} IS {_quoted(comment)}")
    op.execute(CREATE_ROLE)
    op.execute("GRANT USAGE ON SCHEMA reporting TO karyo_reporting")
    op.execute("GRANT SELECT ON ALL TABLES IN SCHEMA reporting TO karyo_reporting")


def downgrade() -> None:
    """Drop the views; the role stays, as other databases may use it."""
    # The role stays: other databases of the server may use it, and people's logins may be members of it.
    op.execute("DROP SCHEMA reporting CASCADE")
