"""A few weeks of a laboratory, small enough to compute its reports by hand."""

from __future__ import annotations

from db.engine import SessionFactory

OLD, NEW = "a" * 64, "b" * 64
"""Digests of the pipeline in production, and of one that analysed case A-1 again."""

_STATEMENTS = """
INSERT INTO karyo.pipelines (digest, name, document)
VALUES (repeat('a', 64), 'old', '{}'), (repeat('b', 64), 'new', '{}');
INSERT INTO karyo.pipeline_aliases (alias, pipeline_id) VALUES ('production', 1);
INSERT INTO karyo.lanes (priority, lab) VALUES (1, '');
INSERT INTO karyo.cases (accession, lab, tissue, created_at) VALUES
  ('A-1', 'north', 'blood', '2026-03-02 00:00Z'),
  ('A-2', 'north', 'blood', '2026-03-03 00:00Z'),
  ('A-3', 'south', 'marrow', '2026-03-10 00:00Z'),
  ('A-4', 'south', 'marrow', '2026-04-01 00:00Z');
INSERT INTO karyo.images
  (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth, slide, microscope)
SELECT n, n, (ARRAY[1, 1, 2, 3, 3, 4])[n], n || '.png', 'PNG', (ARRAY[1000, 2000, 3000, 500, 500, 500])[n], 640, 480, 8,
       (ARRAY['s1', 's1', 's2', 's3', 's3', NULL])[n], 'm1'
FROM generate_series(1, 6) n;
INSERT INTO karyo.analyses
  (case_id, image_id, pipeline_id, state, priority, lane_id, round, attempts, finished_at, seconds, iscn, reason, error,
   created_at)
VALUES
  (1, 1, 1, 'done', 1, 1, 0, 1, '2026-03-02 10:00Z', 1, '46,XX', NULL, NULL, '2026-03-02 00:00Z'),
  (1, 2, 1, 'done', 1, 1, 0, 1, '2026-03-02 12:00Z', 2, '46,XX', NULL, NULL, '2026-03-02 00:00Z'),
  (2, 3, 1, 'done', 1, 1, 0, 1, '2026-03-03 06:00Z', 4, '47,XX,+21', NULL, NULL, '2026-03-03 00:00Z'),
  (3, 4, 1, 'done', 1, 1, 0, 1, '2026-03-10 02:00Z', 8, NULL, NULL, NULL, '2026-03-10 00:00Z'),
  (3, 5, 1, 'failed', 1, 1, 0, 1, '2026-03-10 03:00Z', NULL, NULL, 'no_chromosomes', 'Nothing.', '2026-03-10 00:00Z'),
  (4, 6, 1, 'pending', 1, 1, 0, 0, NULL, NULL, NULL, NULL, NULL, '2026-04-01 00:00Z'),
  (1, 1, 2, 'done', 1, 1, 0, 1, '2026-03-16 10:00Z', 1, '47,XX,+21', NULL, NULL, '2026-03-16 00:00Z'),
  (1, 2, 2, 'done', 1, 1, 0, 1, '2026-03-16 10:00Z', 1, '47,XX,+21', NULL, NULL, '2026-03-16 00:00Z');
INSERT INTO karyo.qc_metrics
SELECT a.id, 46, 'dark_on_light', 0.5, 0.6, 0.01, 0.02, 3, 12.5, 4, 1, 0, 2, 0, v.confidence, v.score,
       CASE WHEN a.id = 1 THEN ARRAY['crowded'] ELSE '{}' END, v.objects
FROM karyo.analyses a
JOIN (VALUES (1, 0.8, 0.5, 1), (2, 0.6, 0.7, 2), (3, 0.7, 0.9, 3), (4, 0.5, 0.4, 0), (7, 0.9, 0.5, 0),
             (8, 0.9, 0.5, 0)) v (id, confidence, score, objects) ON v.id = a.id;
INSERT INTO karyo.chromosomes
SELECT 1, n, ARRAY[1, 1, 1, 1], 'm', (ARRAY[1, 23, NULL])[n + 1], 0.9, 0.9, '{}', '{}', 80, 12, NULL, 'p_up', NULL, '{}'
FROM generate_series(0, 2) n;
INSERT INTO karyo.case_results (case_id, pipeline_id, state, iscn, resolution, summary) VALUES
  (1, 1, 'done', '46,XX', 'resolved', '{"outcome": "normal"}'),
  (2, 1, 'done', '47,XX,+21', 'resolved', '{"outcome": "abnormal"}'),
  (3, 1, 'done', NULL, 'not_resolved', '{"outcome": "suspected"}'),
  (1, 2, 'done', '47,XX,+21', 'resolved', '{"outcome": "abnormal"}');
INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail, created_at) VALUES
  (1, 1, 0, 'Ada', 'reclassify', '{"chromosome": 0, "class_id": 2}', '2026-03-03 09:00Z'),
  (1, 1, 1, 'Ada', 'flip', '{"chromosome": 1}', '2026-03-03 09:01Z'),
  (1, 1, 2, 'Ada', 'undo', '{"review": 2}', '2026-03-03 09:02Z'),
  (1, 1, 3, 'Ada', 'comment', '{"text": "Fine."}', '2026-03-03 09:03Z');
INSERT INTO karyo.sign_offs
  (case_id, pipeline_id, reader, position, required, follows, first_reader, analysis_ids, last_review_id, iscn, result,
   created_at)
VALUES
  (1, 1, 'Ada', 1, 2, 0, NULL, '{1, 2}', 4, '46,XX', '{"cell_count": 2}', '2026-03-03 11:00Z'),
  (1, 1, 'Bob', 2, 2, 1, 'Ada', '{1, 2}', 4, '46,XX', '{"cell_count": 2}', '2026-03-03 12:00Z'),
  (3, 1, 'Ada', 1, 2, 0, NULL, '{4}', 0, '46,XX', '{"cell_count": 1}', '2026-03-11 12:00Z');
INSERT INTO karyo.ingest_batches (kind, source, started_at, new_count, rejected_count)
VALUES ('folder', 'here', '2026-03-02 00:00Z', 3, 1);
INSERT INTO karyo.rejections (batch_id, file_name, reason, sentence, created_at)
VALUES (1, 'a.tif', 'truncated', 'It ends too soon.', '2026-03-02 00:00Z')
"""


def add_small_year(sessions: SessionFactory) -> None:
    """Fill an empty database with four cases of March and April 2026."""
    with sessions.begin() as session:
        for statement in _STATEMENTS.split(";\n"):
            session.connection().exec_driver_sql(statement)
