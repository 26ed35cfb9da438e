"""States of cases, and signatures: earlier views with their queries of version 1."""

from __future__ import annotations

CASE_STATUS_COLUMNS = {
    "outcome": "normal, abnormal, suspected or insufficient: as the pipeline of the result decided, not signed; empty "
    "in summaries of versions that name none.",
    "signature": "none, first_signed (the second reader is missing), signed, or reopened (changed since).",
    "signed_iscn": "Karyotype as signed; this column and the next five are empty unless the case is signed.",
    "first_reader": "Who signed first.",
    "second_reader": "Who signed second; empty if one reader signs.",
    "signed_at": "When the last reader signed, UTC.",
    "signed_pipeline": "Name of the pipeline whose results were signed.",
    "signed_pipeline_digest": "Digest of its document.",
    "received_at": "When the first image of the case was ingested, UTC.",
}
"""Columns that follow the former ones."""

# Images are counted in narrow rows, which the planner shares out to parallel workers, before anything wide is joined.
# Conditions on accession number and time of receipt still reach the tables, because the inner query has these columns.
CASE_STATUS_QUERY = """
    SELECT n.accession, c.lab, c.tissue, p.name, p.digest, n.images, n.not_requested, n.pending, n.queued, n.running,
           n.done, n.failed, n.quarantined,
           CASE WHEN r.summary IS NULL AND (r.state IS NULL OR r.pipeline_id <> p.id) THEN 'none'
                WHEN r.state = 'done' AND r.pipeline_id = p.id THEN 'current' ELSE 'stale' END,
           r.cell_count, r.modal_count, r.iscn,
           greatest(n.finished_at, CASE WHEN r.summary IS NOT NULL THEN r.updated_at END),
           r.resolution, r.why, r.voters, r.karyotype_agreement, r.count_min, r.count_max,
           q.name, q.digest, q.id = p.id, r.summary ->> 'outcome', coalesce(s.state, 'none'),
           g.iscn, g.first_reader, g.second_reader, g.signed_at, g.pipeline, g.pipeline_digest,
           n.received_at
    FROM (
        SELECT c.id, c.accession, c.created_at AS received_at,
               count(i.id) AS images,
               count(i.id) FILTER (WHERE a.id IS NULL) AS not_requested,
               count(a.id) FILTER (WHERE a.state = 'pending') AS pending,
               count(a.id) FILTER (WHERE a.state = 'queued') AS queued,
               count(a.id) FILTER (WHERE a.state = 'running') AS running,
               count(a.id) FILTER (WHERE a.state = 'done') AS done,
               count(a.id) FILTER (WHERE a.state = 'failed') AS failed,
               count(a.id) FILTER (WHERE a.state = 'quarantined') AS quarantined,
               max(a.finished_at) AS finished_at
        FROM karyo.cases c
        LEFT JOIN karyo.images i ON i.case_id = c.id
        LEFT JOIN karyo.analyses a
          ON a.image_id = i.id
         AND a.pipeline_id = (SELECT l.pipeline_id FROM karyo.pipeline_aliases l WHERE l.alias = 'production')
        GROUP BY c.id
    ) n
    JOIN karyo.cases c ON c.id = n.id
    JOIN karyo.pipeline_aliases l ON l.alias = 'production'
    JOIN karyo.pipelines p ON p.id = l.pipeline_id
    LEFT JOIN LATERAL (
        SELECT t.pipeline_id FROM karyo.case_results t WHERE t.case_id = n.id
        ORDER BY t.summary IS NULL, t.pipeline_id <> p.id, t.updated_at DESC LIMIT 1
    ) shown ON true
    LEFT JOIN karyo.case_results r ON r.case_id = n.id AND r.pipeline_id = shown.pipeline_id
    LEFT JOIN karyo.pipelines q ON q.id = r.pipeline_id AND r.summary IS NOT NULL
    LEFT JOIN reporting.signed_results s ON s.accession = n.accession
    LEFT JOIN LATERAL (SELECT s.* WHERE s.state = 'signed') g ON true
"""

# An analysis that ends makes the summary stale in the same transaction. So a summary that is current and older than the
# sign-off proves that no result came after it, and the images need no look.
SIGNED_RESULTS_QUERY = """
    SELECT c.accession, c.lab, c.tissue,
           CASE WHEN EXISTS (SELECT FROM karyo.reviews r
                             WHERE r.case_id = c.id AND r.id > s.last_review_id AND r.action <> 'comment')
                  OR NOT EXISTS (SELECT FROM karyo.case_results t
                                 WHERE t.case_id = c.id AND t.pipeline_id = s.pipeline_id AND t.state = 'done'
                                   AND t.updated_at < s.created_at)
                     AND EXISTS (SELECT FROM karyo.images i
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
