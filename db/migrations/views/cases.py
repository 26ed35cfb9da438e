"""Views of cases: turnaround, cost, karyotypes, and what a person should see first."""

from __future__ import annotations

from db.migrations.views.view import PIPELINE, View

CASE = {
    "accession": "The laboratory's pseudonymous accession number.",
    "lab": "Laboratory.",
    "tissue": "Tissue.",
}

CASE_RUNS = View(
    "case_runs",
    "Every case under every pipeline that was asked to analyse an image of it: counts, times and computing time.",
    {
        **CASE,
        "received_at": "When the first image of the case was ingested, UTC.",
        **PIPELINE,
        "case_images": "Images of the case [images].",
        "images": "Images that this pipeline was asked to analyse [images].",
        "done": "Images with a result [images].",
        "failed": "Images that ended with a named failure or were given up [images].",
        "priority": "Most urgent priority of an analysis: stat, routine or backlog.",
        "analysed_at": "When the last image ended, UTC; empty while an image of the case has not ended.",
        "computing_seconds": "Computing time of the done images in worker processes [s].",
        "bytes": "Bytes of the image files [B].",
    },
    """
    SELECT c.accession, c.lab, c.tissue, c.created_at, p.name, p.digest, total.images, count(*),
           count(*) FILTER (WHERE a.state = 'done'),
           count(*) FILTER (WHERE a.state IN ('failed', 'quarantined')),
           CASE min(a.priority) WHEN 0 THEN 'stat' WHEN 1 THEN 'routine' ELSE 'backlog' END,
           CASE WHEN count(a.finished_at) = total.images THEN max(a.finished_at) END,
           sum(a.seconds::double precision), sum(i.byte_count)::bigint
    FROM karyo.analyses a
    JOIN karyo.images i ON i.id = a.image_id
    JOIN karyo.cases c ON c.id = i.case_id
    JOIN karyo.pipelines p ON p.id = a.pipeline_id
    JOIN (SELECT case_id, count(*) AS images FROM karyo.images GROUP BY case_id) total ON total.case_id = c.id
    GROUP BY c.id, p.id, total.images
    """,
    ("accession", "pipeline_digest"),
)

_HOURS = "extract(epoch FROM {end} - {begin})::double precision / 3600"
_ANALYSIS_HOURS = _HOURS.format(end="r.analysed_at", begin="c.created_at")
_SIGNATURE_HOURS = _HOURS.format(
    end="CASE WHEN s.signed_at >= r.analysed_at THEN s.signed_at END", begin="r.analysed_at"
)
_TOTAL_HOURS = _HOURS.format(end="s.signed_at", begin="c.created_at")


def _percentiles(*expressions: str) -> str:
    return ", ".join(
        f"percentile_cont({share}) WITHIN GROUP (ORDER BY {expression})"
        for expression in expressions
        for share in (0.5, 0.9)
    )


TURNAROUND = View(
    "turnaround",
    "Time from receipt to the first complete analysis and to the signature, by week of receipt.",
    {
        "week": "Monday of the week in which the case was received, UTC.",
        "cases": "Cases received [cases].",
        "analysed": "Of these, cases of which every image has ended under one pipeline [cases].",
        "signed": "Of these, cases with a signature that holds [cases].",
        "to_analysis_median_hours": "Median time from receipt to the end of the first complete analysis [h].",
        "to_analysis_p90_hours": "90th percentile of the same [h].",
        "to_signature_median_hours": "Median time from the first complete analysis to the last signature [h].",
        "to_signature_p90_hours": "90th percentile of the same [h].",
        "whole_median_hours": "Median time from receipt to the last signature [h].",
        "whole_p90_hours": "90th percentile of the same [h].",
    },
    f"""
    SELECT date_trunc('week', c.created_at, 'UTC'), count(*), count(r.analysed_at), count(s.signed_at),
           {_percentiles(_ANALYSIS_HOURS, _SIGNATURE_HOURS, _TOTAL_HOURS)}
    FROM karyo.cases c
    LEFT JOIN (SELECT accession, min(analysed_at) AS analysed_at FROM reporting.case_runs GROUP BY accession) r
      ON r.accession = c.accession
    LEFT JOIN reporting.signed_results s ON s.accession = c.accession AND s.state = 'signed'
    GROUP BY 1
    """,
    ("week",),
)

CASE_COST = View(
    "case_cost",
    "What cases cost, by week of receipt and pipeline.",
    {
        "week": "Monday of the week in which the case was received, UTC.",
        **PIPELINE,
        "cases": "Cases with a result [cases].",
        "images": "Images with a result [images].",
        "computing_seconds": "Computing time in worker processes, which have a GPU each if there is one [s].",
        "seconds_per_case_median": "Median computing time of a case [s].",
        "seconds_per_case_p90": "90th percentile of the same [s].",
        "seconds_per_image": "Mean computing time of an image [s].",
        "bytes": "Bytes of the image files [B].",
        "bytes_per_case_median": "Median bytes of a case's image files [B].",
    },
    """
    SELECT date_trunc('week', received_at, 'UTC'), pipeline, pipeline_digest, count(*), sum(done)::bigint,
           sum(computing_seconds),
           percentile_cont(0.5) WITHIN GROUP (ORDER BY computing_seconds),
           percentile_cont(0.9) WITHIN GROUP (ORDER BY computing_seconds),
           sum(computing_seconds) / sum(done)::double precision,
           sum(bytes)::bigint,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY bytes::double precision)
    FROM reporting.case_runs
    WHERE done > 0
    GROUP BY 1, 2, 3
    """,
)

# Each view reads a summary, which is large and compressed, once per case.
_CALLS = """
    SELECT date_trunc('month', c.created_at, 'UTC') AS month, c.tissue, p.name, p.digest, r.iscn, r.resolution,
           r.summary ->> 'outcome' AS outcome
    FROM karyo.case_results r
    JOIN karyo.cases c ON c.id = r.case_id
    JOIN karyo.pipelines p ON p.id = r.pipeline_id
    WHERE r.state = 'done'
"""

KARYOTYPES = View(
    "karyotypes",
    "Karyotypes that the pipelines found, by month of receipt and tissue; results that people signed are elsewhere.",
    {
        "month": "First day of the month in which the case was received, UTC.",
        "tissue": "Tissue.",
        **PIPELINE,
        "karyotype": "Karyotype without numbers of cells.",
        "cases": "Cases with this karyotype [cases].",
        "share": "Share of the resolved cases of the month, tissue and pipeline [0..1].",
    },
    """
    SELECT date_trunc('month', c.created_at, 'UTC'), c.tissue, p.name, p.digest,
           regexp_replace(r.iscn, '\\[[0-9]+\\]', '', 'g'), count(*),
           count(*) / sum(count(*)) OVER (PARTITION BY date_trunc('month', c.created_at, 'UTC'), c.tissue, p.digest)
             ::double precision
    FROM karyo.case_results r
    JOIN karyo.cases c ON c.id = r.case_id
    JOIN karyo.pipelines p ON p.id = r.pipeline_id
    WHERE r.state = 'done' AND r.resolution = 'resolved'
    GROUP BY 1, 2, 3, 4, 5
    """,
)

ABNORMALITY_RATE = View(
    "abnormality_rate",
    "Outcomes of cases as the pipelines decided, by month of receipt and tissue.",
    {
        "month": "First day of the month in which the case was received, UTC.",
        "tissue": "Tissue.",
        **PIPELINE,
        "cases": "Cases with a current summary [cases].",
        "normal": "Cases called normal [cases].",
        "abnormal": "Cases called abnormal [cases].",
        "suspected": "Cases with a suspected abnormality [cases].",
        "insufficient": "Cases with too little evidence [cases].",
        "abnormal_share": "Abnormal cases of the called ones, which are normal or abnormal [0..1].",
        "called_share": "Called cases of those with a current summary [0..1].",
    },
    f"""
    SELECT month, tissue, name, digest, count(*),
           count(*) FILTER (WHERE outcome = 'normal'),
           count(*) FILTER (WHERE outcome = 'abnormal'),
           count(*) FILTER (WHERE outcome = 'suspected'),
           count(*) FILTER (WHERE outcome = 'insufficient'),
           avg((outcome = 'abnormal')::int) FILTER (WHERE outcome IN ('normal', 'abnormal'))::double precision,
           avg(coalesce(outcome IN ('normal', 'abnormal'), false)::int)::double precision
    FROM ({_CALLS} OFFSET 0) calls
    GROUP BY 1, 2, 3, 4
    """,
)

WORKLIST = View(
    "worklist",
    "Analysed cases without a signature that holds, those to see first at the top.",
    {
        "place": "Place in the list, from 1 [place].",
        **CASE,
        "reason": "Why the case is here: reopened, abnormal, suspected, second reader missing, insufficient or normal.",
        "priority": "Most urgent priority of an analysis, as of the last refresh of case_runs.",
        "outcome": "Outcome that the pipeline decided: normal, abnormal, suspected or insufficient.",
        "iscn": "Karyotype that the pipeline found, not signed; empty if it is not resolved.",
        **PIPELINE,
        "signature": "none, first_signed or reopened.",
        "received_at": "When the first image of the case was ingested, UTC.",
        "age_days": "Time since then [d].",
    },
    """
    SELECT row_number() OVER (ORDER BY o.urgency, o.grade, o.received_at, o.accession),
           o.accession, o.lab, o.tissue,
           (ARRAY['reopened', 'abnormal', 'suspected', 'second reader missing', 'insufficient', 'normal'])[o.grade],
           o.priority, o.outcome, o.iscn, o.name, o.digest, o.signature, o.received_at,
           extract(epoch FROM now() - o.received_at)::double precision / 86400
    FROM (
        SELECT c.accession, c.lab, c.tissue, c.created_at AS received_at, r.iscn, p.name, p.digest, v.outcome,
               coalesce(s.state, 'none') AS signature, u.priority,
               CASE u.priority WHEN 'stat' THEN 0 ELSE 1 END AS urgency,
               CASE WHEN s.state = 'reopened' THEN 1 WHEN v.outcome = 'abnormal' THEN 2
                    WHEN v.outcome = 'suspected' THEN 3 WHEN s.state = 'first_signed' THEN 4
                    WHEN v.outcome = 'normal' THEN 6 ELSE 5 END AS grade
        FROM karyo.cases c
        JOIN LATERAL (
            SELECT t.* FROM karyo.case_results t WHERE t.case_id = c.id
            ORDER BY t.summary IS NULL,
                     t.pipeline_id <> (SELECT l.pipeline_id FROM karyo.pipeline_aliases l WHERE l.alias = 'production'),
                     t.updated_at DESC
            LIMIT 1
        ) r ON r.state = 'done'
        JOIN LATERAL (SELECT r.summary ->> 'outcome' AS outcome OFFSET 0) v ON true
        JOIN karyo.pipelines p ON p.id = r.pipeline_id
        LEFT JOIN reporting.signed_results s ON s.accession = c.accession
        LEFT JOIN reporting.case_runs u ON u.accession = c.accession AND u.pipeline_digest = p.digest
        WHERE s.state IS DISTINCT FROM 'signed'
    ) o
    """,
)
