"""Views of corrections: by reviewer, and by class of the corrected chromosome."""

from __future__ import annotations

from db.migrations.views.view import PIPELINE, View

ACTIONS = ("reclassify", "reject", "split", "merge", "flip", "add", "reject_cell")
# A correction that was withdrawn is no edit.
_EDITS = """
    edits AS (
        SELECT r.* FROM karyo.reviews r
        WHERE r.action NOT IN ('comment', 'undo')
          AND NOT EXISTS (SELECT FROM karyo.reviews u
                          WHERE u.analysis_id = r.analysis_id AND u.action = 'undo'
                            AND (u.detail ->> 'review')::bigint = r.id)
    )
"""
_CELLS = "Cells that were corrected or signed [cells]."


def _counts(actions: tuple[str, ...]) -> str:
    return ", ".join(f"count(*) FILTER (WHERE action = '{action}') AS n_{action}" for action in actions)


def _shown(actions: tuple[str, ...]) -> str:
    return ", ".join(f"coalesce(e.n_{action}, 0)" for action in actions)


def _meaning(action: str) -> str:
    return f"Edits with the action {action} [edits]."


REVIEWER_EDITS = View(
    "reviewer_edits",
    "Corrections per cell by reviewer and week, without those that were undone.",
    {
        "week": "Monday of the week of the correction or signature, UTC.",
        "reviewer": "Who corrected or signed.",
        "cells": _CELLS,
        "corrected_cells": "Cells with an edit [cells].",
        "edits": "Edits [edits].",
        "edits_per_cell": "Edits over cells [edits/cell].",
        **{action: _meaning(action) for action in ACTIONS},
    },
    f"""
    WITH {_EDITS}, weekly AS (
        SELECT date_trunc('week', created_at, 'UTC') AS week, reviewer, count(DISTINCT analysis_id) AS corrected,
               count(*) AS edits, {_counts(ACTIONS)}
        FROM edits GROUP BY 1, 2
    ), cells AS (
        SELECT week, reviewer, count(*) AS cells
        FROM (SELECT date_trunc('week', created_at, 'UTC') AS week, reviewer, analysis_id FROM edits
              UNION
              SELECT date_trunc('week', s.created_at, 'UTC'), s.reader, unnest(s.analysis_ids) FROM karyo.sign_offs s) o
        GROUP BY 1, 2
    )
    SELECT c.week, c.reviewer, c.cells, coalesce(e.corrected, 0), coalesce(e.edits, 0),
           coalesce(e.edits, 0) / c.cells::double precision, {_shown(ACTIONS)}
    FROM cells c
    LEFT JOIN weekly e ON e.week = c.week AND e.reviewer = c.reviewer
    """,
    ("week", "reviewer"),
)

_OF_CHROMOSOME = tuple(action for action in ACTIONS if action != "reject_cell")
CLASS_EDITS = View(
    "class_edits",
    "Corrections per cell by class that the pipeline gave, month and pipeline, without those that were undone.",
    {
        "month": "First day of the month of the correction or signature, UTC.",
        **PIPELINE,
        "class": "1 to 22, X or Y; unknown: without a class; drawn: a person drew it; added: the pipeline missed it.",
        "cells": _CELLS,
        "edits": "Edits of such a chromosome [edits]; a merge counts for each chromosome that it joins.",
        "edits_per_cell": "Edits over cells [edits/cell].",
        **{action: _meaning(action) for action in _OF_CHROMOSOME},
    },
    f"""
    WITH {_EDITS}, chromosomes AS (
        SELECT e.analysis_id, e.action, date_trunc('month', e.created_at, 'UTC') AS month,
               -- A scalar subquery forces an index lookup in one partition.
               (SELECT coalesce(h.class_id, 0) FROM karyo.chromosomes h
                WHERE h.analysis_id = e.analysis_id AND h.ordinal = n.ordinal) AS class_id
        FROM edits e
        CROSS JOIN LATERAL (
            SELECT (e.detail ->> 'chromosome')::int AS ordinal WHERE e.action <> 'merge'
            UNION ALL
            SELECT m::int FROM jsonb_array_elements_text(e.detail -> 'chromosomes') m WHERE e.action = 'merge'
        ) n
        WHERE e.action <> 'reject_cell'
    ), counted AS (
        SELECT o.month, a.pipeline_id,
               CASE WHEN o.action = 'add' THEN 'added' WHEN o.class_id IS NULL THEN 'drawn'
                    WHEN o.class_id = 0 THEN 'unknown' WHEN o.class_id = 23 THEN 'X' WHEN o.class_id = 24 THEN 'Y'
                    ELSE o.class_id::text END AS class,
               count(*) AS edits, {_counts(_OF_CHROMOSOME)}
        FROM chromosomes o
        JOIN karyo.analyses a ON a.id = o.analysis_id
        GROUP BY 1, 2, 3
    ), cells AS (
        SELECT month, pipeline_id, count(*) AS cells
        FROM (SELECT date_trunc('month', e.created_at, 'UTC') AS month, a.pipeline_id, e.analysis_id
              FROM edits e JOIN karyo.analyses a ON a.id = e.analysis_id
              UNION
              SELECT date_trunc('month', s.created_at, 'UTC'), s.pipeline_id, unnest(s.analysis_ids)
              FROM karyo.sign_offs s) touched
        GROUP BY 1, 2
    )
    SELECT e.month, p.name, p.digest, e.class, c.cells, e.edits, e.edits / c.cells::double precision,
           {_shown(_OF_CHROMOSOME)}
    FROM counted e
    JOIN cells c ON c.month = e.month AND c.pipeline_id = e.pipeline_id
    JOIN karyo.pipelines p ON p.id = e.pipeline_id
    """,
    ("month", "pipeline_digest", "class"),
)
