"""A laboratory's year in the database, for benchmarks; PostgreSQL generates the rows."""

from __future__ import annotations

from sqlalchemy import Engine, text

from benchmarks.figures import log_progress
from benchmarks.service.filling import IMAGES_PER_CASE, LABS

EMBEDDING_BYTES = 256  # of one chromosome
ANALYSES_PER_COMMIT = 50_000

_ANALYSES = """
    INSERT INTO karyo.analyses (case_id, image_id, pipeline_id, state, priority, lane_id, round, attempts, queued_at,
                                started_at, finished_at, seconds, iscn, reason, error, created_at)
    SELECT i.case_id, i.id, {pipeline}, s.state, 2, 1, 0, 1, i.created_at, i.created_at,
           i.created_at + interval '1 hour' * (1 + i.id % 7),
           CASE WHEN s.state = 'done' THEN 1.5 + i.id % 10 / 10.0 END,
           CASE WHEN s.state = 'done' AND i.id % 25 > 0 THEN '46,XX' END,
           CASE WHEN s.state = 'failed' THEN 'no_chromosomes' END, CASE WHEN s.state = 'failed' THEN 'Nothing.' END,
           i.created_at
    FROM karyo.images i, LATERAL (SELECT CASE WHEN i.id % 50 = 1 THEN 'failed' ELSE 'done' END AS state) s
    WHERE i.case_id <= :cases AND {condition}
    ORDER BY i.id
"""
STATEMENTS = {
    "pipelines": """
        INSERT INTO karyo.pipelines (digest, name, document) VALUES (repeat('a', 64), 'old', '{}'),
                                                                    (repeat('b', 64), 'new', '{}');
        INSERT INTO karyo.pipeline_aliases (alias, pipeline_id) VALUES ('production', 1);
        INSERT INTO karyo.lanes (priority, lab) VALUES (2, 'bench')
    """,
    "cases": f"""
        INSERT INTO karyo.cases (accession, lab, tissue, created_at)
        SELECT 'B-' || n, 'lab ' || n % {LABS}, (ARRAY['blood', 'marrow', 'amniotic fluid'])[1 + n % 3],
               now() - interval '365 days' * (1 - n / CAST(:all AS double precision))
        FROM generate_series(1, :all) n
    """,
    "images": f"""
        INSERT INTO karyo.images (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth,
                                  slide, microscope, created_at)
        SELECT encode(sha256(n::text::bytea), 'hex'), 'sha256/' || encode(sha256(n::text::bytea), 'hex'), c.id,
               n || '.png', 'PNG', 500000 + n % 1000, 1280, 1024, 8, 'slide ' || c.id / 10, 'microscope ' || c.id % 8,
               c.created_at
        FROM karyo.cases c, generate_series((c.id - 1) * {IMAGES_PER_CASE}, c.id * {IMAGES_PER_CASE} - 1) n
        ORDER BY c.id, n
    """,
    "analyses": _ANALYSES.format(pipeline=1, condition="true"),
    "analyses of a second pipeline": _ANALYSES.format(pipeline=2, condition="i.case_id % 10 = 0"),
    "backlog": """
        INSERT INTO karyo.analyses (image_id, case_id, pipeline_id, priority, lane_id, round, created_at)
        SELECT id, case_id, 1, 2, 1, 0, created_at FROM karyo.images WHERE case_id > :cases
    """,
    "quality": """
        INSERT INTO karyo.qc_metrics
        SELECT id, 46, 'dark_on_light', 0.5, 0.6, 0.01, 0.02, 3, 12.5, 4, 1, 0, 2, 0, 0.7 + id % 30 / 100.0,
               0.5 + id % 50 / 100.0, CASE WHEN id % 5 = 0 THEN ARRAY['crowded'] ELSE '{}' END, id % 3
        FROM karyo.analyses WHERE state = 'done'
    """,
    "case results": f"""
        INSERT INTO karyo.case_results (case_id, pipeline_id, state, image_count, cell_count, modal_count, iscn,
                                        resolution, voters, karyotype_agreement, updated_at, summary)
        SELECT c.id, p.id, 'done', {IMAGES_PER_CASE}, 49, 46, CASE WHEN o.outcome = 'normal' THEN '46,XX'
                 WHEN o.outcome = 'abnormal' THEN (ARRAY['47,XX,+21', '45,X', '47,XXY'])[1 + c.id % 3] END,
               CASE WHEN o.outcome IN ('normal', 'abnormal') THEN 'resolved' ELSE 'not_resolved' END, 40, 0.9,
               c.created_at + interval '9 hours',
               jsonb_build_object('outcome', o.outcome, 'posterior', 0.99, 'cells', (
                   SELECT jsonb_agg(jsonb_build_object('id', n, 'key', md5(n || ' ' || c.id)))
                   FROM generate_series(1, {IMAGES_PER_CASE}) n))
        FROM karyo.cases c
        JOIN karyo.pipelines p ON p.id = 1 OR c.id % 10 = 0,
        LATERAL (SELECT (ARRAY['normal', 'normal', 'normal', 'abnormal', 'normal', 'suspected', 'insufficient'])
                        [1 + (c.id + p.id * (c.id % 3)) % 7] AS outcome) o
        WHERE c.id <= :cases
    """,
    "corrections": """
        INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail, created_at)
        SELECT i.case_id, a.id, n, 'reviewer ' || i.case_id % 6,
               (ARRAY['reclassify', 'reject', 'flip'])[1 + n], jsonb_build_object('chromosome', 1 + (a.id + n) % 4,
               'class_id', 1 + a.id % 24), a.finished_at + interval '1 day'
        FROM karyo.analyses a JOIN karyo.images i ON i.id = a.image_id, generate_series(0, 2) n
        WHERE a.pipeline_id = 1 AND a.state = 'done' AND a.id % 20 = 0
        ORDER BY a.id, n
    """,
    "signatures": """
        INSERT INTO karyo.sign_offs (case_id, pipeline_id, reader, position, required, follows, analysis_ids,
                                     last_review_id, iscn, result, created_at)
        SELECT i.case_id, 1, 'reviewer ' || i.case_id % 6, 1, 1, 0, array_agg(a.id),
               coalesce((SELECT max(r.id) FROM karyo.reviews r WHERE r.case_id = i.case_id), 0), '46,XX',
               '{"cell_count": 49}', max(a.finished_at) + interval '2 days'
        FROM karyo.analyses a JOIN karyo.images i ON i.id = a.image_id
        WHERE a.pipeline_id = 1 AND a.state = 'done' AND i.case_id % 5 > 0
        GROUP BY i.case_id
    """,
}
_CHROMOSOMES = f"""
    INSERT INTO karyo.chromosomes
    SELECT a.id, n, ARRAY[10, 20, 30, 80], repeat(md5(a.id || ' ' || n), 5),
           CASE WHEN (a.id * 7 + n * 13) % 100 > 0 THEN n % 24 + 1 END, 0.9, 0.95, ARRAY[1, 2, 3, 4, 5]::smallint[],
           ARRAY[0.9, 0.05, 0.02, 0.02, 0.01]::real[], 80.5, 12.5, 0.4, 'p_up',
           decode(repeat(md5(n || ' ' || a.id), {EMBEDDING_BYTES // 16}), 'hex'), '{{}}'
    FROM karyo.analyses a, generate_series(1, :chromosomes) n
    WHERE a.id > :first AND a.id <= :last AND a.pipeline_id = 1 AND a.state = 'done'
"""


def fill(engine: Engine, analyses: int, chromosomes: int) -> None:
    """Add ended analyses by one pipeline.

    A tenth as many are by a second pipeline, and a twentieth as many wait.
    Each of the first ones has so many ``chromosomes``. Foreign keys are not checked, which needs a superuser.
    """
    cases = analyses // IMAGES_PER_CASE
    values = {"cases": cases, "all": cases + cases // 20}
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET session_replication_role = replica"))
        connection.execute(text("SET synchronous_commit = off"))
        for name, statements in STATEMENTS.items():
            log_progress(f"filling: {name}")
            for statement in statements.split(";"):
                used = {key: value for key, value in values.items() if f":{key}" in statement}
                connection.execute(text(statement), used)
        for first in range(0, analyses, ANALYSES_PER_COMMIT):
            log_progress(f"filling: chromosomes of {first:,}")
            connection.execute(
                text(_CHROMOSOMES), {"first": first, "last": first + ANALYSES_PER_COMMIT, "chromosomes": chromosomes}
            )
        log_progress("vacuum")
        connection.execute(text("VACUUM (ANALYZE)"))
        connection.execute(text("SET session_replication_role = origin"))
