"""Views of the work: backlog, failures, drift of quality and of pipelines, concordance."""

from __future__ import annotations

from db.migrations.views.view import PIPELINE, View

BACKLOG_FORECAST = View(
    "backlog_forecast",
    "Images that have not ended, by priority, and when they will have at the present rate.",
    {
        "priority": "stat, routine or backlog; the more urgent ones run first.",
        "images": "Images that have not ended [images].",
        "oldest_at": "When the oldest of them was asked for, UTC.",
        "oldest_hours": "Its age [h].",
        "images_before": "Images that end before the last of them, itself included [images].",
        "images_per_hour": "Images of all priorities that ended in the last hour [1/h].",
        "paused": "Whether the queue is paused.",
        "ends_at": "Forecast of the end, UTC; empty if nothing ended in the last hour or the queue is paused.",
    },
    """
    WITH waiting AS (
        SELECT priority, (sum(pending) + sum(queued) + sum(running))::bigint AS images, min(oldest_at) AS oldest_at
        FROM reporting.backlog GROUP BY priority
    ), ordered AS (
        SELECT w.*, q.paused_at IS NOT NULL AS paused,
               sum(w.images) OVER (ORDER BY q.priority)::bigint AS images_before
        FROM waiting w
        JOIN karyo.queues q ON q.priority = array_position(ARRAY['stat', 'routine', 'backlog'], w.priority) - 1
    )
    SELECT o.priority, o.images, o.oldest_at, extract(epoch FROM now() - o.oldest_at)::double precision / 3600,
           o.images_before, r.images, o.paused,
           CASE WHEN r.images > 0 AND NOT o.paused THEN now() + o.images_before * interval '1 hour' / r.images END
    FROM ordered o
    CROSS JOIN (SELECT count(*) AS images FROM karyo.analyses WHERE finished_at > now() - interval '1 hour') r
    """,
)

FAILURES_WEEKLY = View(
    "failures_weekly",
    "Files that were rejected and images that were not analysed, by week and reason.",
    {
        "week": "Monday of the week in which it happened, UTC.",
        "stage": "ingest (the file was rejected) or analysis.",
        "reason": "Name of the reason.",
        "pipeline": "Name of the pipeline; empty at ingest.",
        "pipeline_digest": "Digest of its document; empty at ingest.",
        "images": "Files or images that ended so [images].",
        "share": "Share of the files that came in, or of the images that ended under the pipeline, that week [0..1]; "
        "of the analyses as of the last refresh of model_drift.",
    },
    """
    SELECT r.week, 'ingest', r.reason, NULL, NULL, r.images, r.images / nullif(b.files, 0)::double precision
    FROM (SELECT date_trunc('week', created_at, 'UTC') AS week, reason, count(*) AS images
          FROM karyo.rejections GROUP BY 1, 2) r
    LEFT JOIN (SELECT date_trunc('week', started_at, 'UTC') AS week,
                      sum(new_count + duplicate_count + rejected_count) AS files
               FROM karyo.ingest_batches GROUP BY 1) b ON b.week = r.week
    UNION ALL
    SELECT f.week, 'analysis', f.reason, p.name, p.digest, f.images, f.images / nullif(m.ended, 0)::double precision
    FROM (SELECT date_trunc('week', finished_at, 'UTC') AS week, reason, pipeline_id, count(*) AS images
          FROM karyo.analyses WHERE state IN ('failed', 'quarantined') GROUP BY 1, 2, 3) f
    JOIN karyo.pipelines p ON p.id = f.pipeline_id
    LEFT JOIN reporting.model_drift m ON m.week = f.week AND m.pipeline_digest = p.digest
    """,
)


def _change(column: str, partition: str) -> str:
    """Return the SQL of the difference from the mean of up to four earlier rows."""
    return (
        f"{column} - avg({column}) OVER (PARTITION BY {partition} ORDER BY week "
        "ROWS BETWEEN 4 PRECEDING AND 1 PRECEDING)"
    )


QC_DRIFT = View(
    "qc_drift",
    "Image quality by week, for each microscope, slide and laboratory.",
    {
        "week": "Monday of the week in which the images were analysed, UTC.",
        "dimension": "microscope, slide or lab.",
        "name": "Name of the microscope, slide or laboratory.",
        **PIPELINE,
        "images": "Images with a result [images].",
        "score": "Mean suitability for karyotyping [0..1].",
        "score_change": "Difference from the mean of up to four earlier weeks of the same name [0..1].",
        "focus": "Mean edge sharpness relative to contrast [1].",
        "contrast": "Mean stain of the chromosomes above background [0..1 of the image's range].",
        "noise": "Mean standard deviation of the background [0..1 of the image's range].",
        "class_confidence": "Mean confidence of the chromosomes' classes [0..1].",
        "flagged_share": "Images with a flag [0..1].",
    },
    f"""
    WITH weekly AS (
        SELECT date_trunc('week', a.finished_at, 'UTC') AS week,
               CASE WHEN grouping(i.microscope) = 0 THEN 'microscope' WHEN grouping(i.slide) = 0 THEN 'slide'
                    ELSE 'lab' END AS dimension,
               coalesce(i.microscope, i.slide, c.lab) AS name, a.pipeline_id, count(*) AS images, avg(q.score) AS score,
               avg(q.focus) AS focus, avg(q.contrast) AS contrast, avg(q.noise) AS noise,
               avg(q.class_confidence) AS class_confidence,
               avg((cardinality(q.flags) > 0)::int)::double precision AS flagged_share
        FROM karyo.qc_metrics q
        JOIN karyo.analyses a ON a.id = q.analysis_id
        JOIN karyo.images i ON i.id = a.image_id
        JOIN karyo.cases c ON c.id = i.case_id
        GROUP BY 1, a.pipeline_id, GROUPING SETS ((i.microscope), (i.slide), (c.lab))
    )
    SELECT w.week, w.dimension, w.name, p.name, p.digest, w.images, w.score,
           {_change("w.score", "w.dimension, w.name, w.pipeline_id")},
           w.focus, w.contrast, w.noise, w.class_confidence, w.flagged_share
    FROM weekly w
    JOIN karyo.pipelines p ON p.id = w.pipeline_id
    WHERE w.name IS NOT NULL
    """,
    ("week", "dimension", "name", "pipeline_digest"),
)

MODEL_DRIFT = View(
    "model_drift",
    "How sure each pipeline was, by week.",
    {
        "week": "Monday of the week in which the images ended, UTC.",
        **PIPELINE,
        "ended": "Images that ended, whichever way [images].",
        "images": "Images with a result [images].",
        "confidence_median": "Median of the images' class confidence [0..1].",
        "confidence_p10": "10th percentile of the same [0..1].",
        "confidence_change": "Difference of the median from the mean of up to four earlier weeks [0..1].",
        "chromosomes": "Mean number of chromosomes per image [chromosomes].",
        "unknown_share": "Chromosomes without a class [0..1].",
        "no_metaphase_share": "Images without a karyotype [0..1].",
        "unexplained_objects": "Mean number of objects per image that may be chromosomes and are none [objects].",
    },
    f"""
    WITH unknown AS (
        SELECT analysis_id, count(*) AS chromosomes FROM karyo.chromosomes WHERE class_id IS NULL GROUP BY analysis_id
    ), weekly AS (
        SELECT date_trunc('week', a.finished_at, 'UTC') AS week, a.pipeline_id, count(*) AS ended,
               count(q.analysis_id) AS images,
               percentile_cont(0.5) WITHIN GROUP (ORDER BY q.class_confidence) AS median,
               percentile_cont(0.1) WITHIN GROUP (ORDER BY q.class_confidence) AS p10,
               avg(q.chromosome_count)::double precision AS chromosomes,
               coalesce(sum(u.chromosomes), 0) / nullif(sum(q.chromosome_count), 0)::double precision AS unknown_share,
               avg((a.iscn IS NULL)::int) FILTER (WHERE q.analysis_id IS NOT NULL)::double precision AS no_metaphase,
               avg(q.unexplained_objects)::double precision AS unexplained
        FROM karyo.analyses a
        LEFT JOIN karyo.qc_metrics q ON q.analysis_id = a.id
        LEFT JOIN unknown u ON u.analysis_id = q.analysis_id
        WHERE a.finished_at IS NOT NULL
        GROUP BY 1, 2
    )
    SELECT w.week, p.name, p.digest, w.ended, w.images, w.median, w.p10, {_change("w.median", "w.pipeline_id")},
           w.chromosomes, w.unknown_share, w.no_metaphase, w.unexplained
    FROM weekly w
    JOIN karyo.pipelines p ON p.id = w.pipeline_id
    """,
    ("week", "pipeline_digest"),
)

CONCORDANCE = View(
    "concordance",
    "Cases that two pipelines have summarised, and how often the two agree, by month of receipt.",
    {
        "month": "First day of the month in which the case was received, UTC.",
        "first_pipeline": "Name of the pipeline that was registered first.",
        "first_digest": "Digest of its document.",
        "second_pipeline": "Name of the other pipeline.",
        "second_digest": "Digest of its document.",
        "cases": "Cases with a current summary of both [cases].",
        "same_outcome_share": "Cases with the same outcome [0..1].",
        "both_resolved": "Cases with a karyotype of both [cases].",
        "same_karyotype_share": "Of these, cases with the same karyotype, without numbers of cells [0..1].",
        "abnormal_to_normal": "Cases that the first calls abnormal and the second normal [cases].",
        "normal_to_abnormal": "Cases that the first calls normal and the second abnormal [cases].",
    },
    """
    WITH calls AS MATERIALIZED (
        SELECT case_id, pipeline_id, summary ->> 'outcome' AS outcome,
               CASE WHEN resolution = 'resolved' THEN regexp_replace(iscn, '\\[[0-9]+\\]', '', 'g') END AS karyotype
        FROM karyo.case_results WHERE state = 'done'
    )
    SELECT date_trunc('month', c.created_at, 'UTC'), p.name, p.digest, q.name, q.digest, count(*),
           avg((a.outcome IS NOT DISTINCT FROM b.outcome)::int)::double precision,
           count(*) FILTER (WHERE a.karyotype IS NOT NULL AND b.karyotype IS NOT NULL),
           avg((a.karyotype = b.karyotype)::int)::double precision,
           count(*) FILTER (WHERE a.outcome = 'abnormal' AND b.outcome = 'normal'),
           count(*) FILTER (WHERE a.outcome = 'normal' AND b.outcome = 'abnormal')
    FROM calls a
    JOIN calls b ON b.case_id = a.case_id AND b.pipeline_id > a.pipeline_id
    JOIN karyo.cases c ON c.id = a.case_id
    JOIN karyo.pipelines p ON p.id = a.pipeline_id
    JOIN karyo.pipelines q ON q.id = b.pipeline_id
    GROUP BY 1, p.id, q.id
    """,
)
