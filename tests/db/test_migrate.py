"""Migrations on real databases."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from alembic.script import ScriptDirectory

from db import migrate
from db.engine import make_engine
from db.migrate import SchemaMismatch, check, current, downgrade, head, upgrade
from db.version import check_version


def tables(url: str, schema: str = "karyo") -> set[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [schema]).fetchall()
    return {name for (name,) in rows}


def test_upgrade_downgrade_and_upgrade_again(empty_postgres_url: str) -> None:
    assert current(empty_postgres_url) is None
    upgrade(empty_postgres_url)
    everything = tables(empty_postgres_url)
    assert current(empty_postgres_url) == head()
    assert len([name for name in everything if name.startswith("chromosomes_p")]) == 16

    downgrade(empty_postgres_url, "base")
    assert tables(empty_postgres_url) == {"alembic_version"}
    assert current(empty_postgres_url) is None

    upgrade(empty_postgres_url)
    assert tables(empty_postgres_url) == everything


def test_live_tables_match_their_declaration(postgres_url: str) -> None:
    check(postgres_url)
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("ALTER TABLE karyo.images DROP COLUMN bit_depth")
    with pytest.raises(SchemaMismatch, match="bit_depth"):
        check(postgres_url)


def test_a_role_named_like_the_schema_passes_the_check(postgres_url: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        found = connection.execute("SELECT current_user, current_schemas(false), current_setting('search_path')")
        assert found.fetchone() == ("karyo", ["karyo", "public"], '"$user", public')
    upgrade(postgres_url)
    check(postgres_url)


def test_the_expected_version_is_the_head_of_the_migrations(postgres_url: str) -> None:
    scripts = ScriptDirectory(str(migrate.__file__).replace("migrate.py", "migrations"))
    assert scripts.get_heads() == [head()]
    assert current(postgres_url) == head()


@pytest.mark.parametrize("found", ["0099", "another"])
def test_a_database_of_a_newer_version_is_refused_and_stays(postgres_url: str, found: str) -> None:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE karyo.alembic_version SET version_num = %s", [found])
    engine = make_engine(postgres_url, pooled=False)
    for use in (lambda: upgrade(postgres_url), lambda: check(postgres_url), lambda: check_version(engine)):
        with pytest.raises(SchemaMismatch, match=rf"version {found}, and karyoflow .* up to {head()}; install"):
            use()
    assert current(postgres_url) == found


def test_a_database_before_the_head_is_refused_by_commands(empty_postgres_url: str) -> None:
    engine = make_engine(empty_postgres_url, pooled=False)
    with pytest.raises(SchemaMismatch, match=r"no tables of karyoflow.*run `karyo db upgrade`"):
        check_version(engine)
    upgrade(empty_postgres_url, "0002")
    with pytest.raises(SchemaMismatch, match=f"has schema version 0002, and this version needs {head()}"):
        check_version(engine)


def test_missing_migrations_are_named(empty_postgres_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="karyo db upgrade"):
        check(empty_postgres_url)


def test_concurrent_processes_migrate_once(empty_postgres_url: str) -> None:
    # Processes instead of threads: Alembic's context is global to a process.
    command = [sys.executable, "-c", "import sys; from db.migrate import upgrade; upgrade(sys.argv[1])"]
    starters = [subprocess.Popen([*command, empty_postgres_url]) for _ in range(3)]
    assert [starter.wait(120) for starter in starters] == [0, 0, 0]
    assert current(empty_postgres_url) == head()
    check(empty_postgres_url)


def test_pending_analyses_are_put_in_lanes(empty_postgres_url: str) -> None:
    upgrade(empty_postgres_url, "0003")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(
            """
            INSERT INTO karyo.pipelines (digest, name, document) VALUES ('d', 'p', '{}');
            INSERT INTO karyo.cases (accession, lab) VALUES ('A-1', 'north'), ('A-2', NULL);
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            SELECT n, n, 1 + n / 50, n, 'PNG', 1, 1, 1, 8 FROM generate_series(1, 99) n;
            INSERT INTO karyo.analyses (image_id, pipeline_id, priority) SELECT id, 1, 2 FROM karyo.images;
            """
        )
    upgrade(empty_postgres_url)
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        rows = connection.execute(
            "SELECT lab, a.round, count(*) FROM karyo.analyses a JOIN karyo.lanes l ON l.id = lane_id GROUP BY 1, 2"
        ).fetchall()
    assert sorted(rows) == [("", 0, 20), ("", 1, 20), ("", 2, 10), ("north", 0, 20), ("north", 1, 20), ("north", 2, 9)]


def test_archive_batches_survive_a_downgrade_as_folders(empty_postgres_url: str) -> None:
    insert = "INSERT INTO karyo.ingest_batches (kind, source) VALUES ('archive', 'monday.zip')"
    upgrade(empty_postgres_url, "0005")
    connected = psycopg.connect(empty_postgres_url.replace("+psycopg", ""))
    with connected as connection, pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(insert)
    upgrade(empty_postgres_url, "0006")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(insert)
    downgrade(empty_postgres_url, "0005")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        kinds = connection.execute("SELECT kind, source FROM karyo.ingest_batches").fetchall()
    assert kinds == [("folder", "monday.zip")]
    upgrade(empty_postgres_url)
    check(empty_postgres_url)


def test_karyotypes_without_a_resolution_are_removed_and_summarised_again(empty_postgres_url: str) -> None:
    upgrade(empty_postgres_url, "0007")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(
            """
            INSERT INTO karyo.pipelines (digest, name, document) VALUES ('d', 'p', '{}');
            INSERT INTO karyo.pipeline_aliases (alias, pipeline_id) VALUES ('production', 1);
            INSERT INTO karyo.cases (accession) VALUES ('A-1');
            INSERT INTO karyo.lanes (priority, lab) SELECT priority, '' FROM karyo.queues WHERE priority = 2;
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            SELECT n, n, 1, n, 'PNG', 1, 1, 1, 8 FROM generate_series(1, 2) n;
            INSERT INTO karyo.analyses
              (image_id, pipeline_id, priority, lane_id, round, state, attempts, started_at, finished_at, iscn)
            SELECT id, 1, 2, (SELECT min(id) FROM karyo.lanes), 0, 'done', 1, now(), now(), 'count' || id
            FROM karyo.images;
            INSERT INTO karyo.qc_metrics
            SELECT id, 45 * id, 'dark_on_light', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}' FROM karyo.analyses;
            INSERT INTO karyo.case_results (case_id, pipeline_id, state, iscn, modal_count, summary, sent_at)
            VALUES (1, 1, 'done', '91<4n>,XXXYYY', 91, '{}', now());
            """
        )
    upgrade(empty_postgres_url)
    check(empty_postgres_url)
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        cells = connection.execute("SELECT iscn FROM karyo.analyses ORDER BY image_id").fetchall()
        cases = connection.execute("SELECT state, revision, iscn, sent_at FROM karyo.case_results").fetchall()
        reported = connection.execute("SELECT summary, iscn, result_in_production FROM reporting.case_status")
        assert cells == [("count1",), (None,)]
        assert cases == [("stale", 2, None, None)]
        assert reported.fetchall() == [("stale", None, True)]
    downgrade(empty_postgres_url, "0007")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        assert connection.execute("SELECT summary, iscn FROM reporting.case_status").fetchall() == [("stale", None)]
        granted = "SELECT has_table_privilege('karyo_reporting', 'reporting.case_status', 'SELECT')"
        assert connection.execute(granted).fetchall() == [(True,)]
    upgrade(empty_postgres_url)


def test_unexplained_objects_of_earlier_analyses_are_not_measured(empty_postgres_url: str) -> None:
    reported = "SELECT unexplained_objects FROM reporting.image_quality"
    upgrade(empty_postgres_url, "0008")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(
            """
            INSERT INTO karyo.pipelines (digest, name, document) VALUES ('d', 'p', '{}');
            INSERT INTO karyo.cases (accession) VALUES ('A-1');
            INSERT INTO karyo.lanes (priority, lab) SELECT priority, '' FROM karyo.queues WHERE priority = 2;
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            VALUES ('1', '1', 1, '1', 'PNG', 1, 1, 1, 8);
            INSERT INTO karyo.analyses
              (image_id, pipeline_id, priority, lane_id, round, state, attempts, started_at, finished_at)
            SELECT id, 1, 2, (SELECT min(id) FROM karyo.lanes), 0, 'done', 1, now(), now() FROM karyo.images;
            INSERT INTO karyo.qc_metrics
            SELECT id, 45, 'dark_on_light', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}' FROM karyo.analyses;
            """
        )
    for _ in range(2):
        upgrade(empty_postgres_url)
        check(empty_postgres_url)
        with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
            assert connection.execute(reported).fetchall() == [(None,)]
        downgrade(empty_postgres_url, "0008")
        with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
            assert connection.execute("SELECT chromosome_count FROM reporting.image_quality").fetchall() == [(45,)]
            granted = "SELECT has_table_privilege('karyo_reporting', 'reporting.image_quality', 'SELECT')"
            assert connection.execute(granted).fetchall() == [(True,)]
            with pytest.raises(psycopg.errors.UndefinedColumn):
                connection.execute(reported)


def test_the_case_of_each_image_is_copied_to_its_analyses(empty_postgres_url: str) -> None:
    reports = "SELECT accession, images, not_requested, pending FROM reporting.case_status ORDER BY 1"
    upgrade(empty_postgres_url, "0014")
    with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
        connection.execute(
            """
            INSERT INTO karyo.pipelines (digest, name, document) VALUES ('d', 'p', '{}');
            INSERT INTO karyo.pipeline_aliases (alias, pipeline_id) VALUES ('production', 1);
            INSERT INTO karyo.cases (accession) VALUES ('A-1'), ('A-2');
            INSERT INTO karyo.lanes (priority, lab) SELECT priority, '' FROM karyo.queues WHERE priority = 2;
            INSERT INTO karyo.images
              (sha256, object_key, case_id, file_name, format, byte_count, width, height, bit_depth)
            SELECT n, n, 1 + n / 4, n, 'PNG', 1, 1, 1, 8 FROM generate_series(1, 6) n;
            INSERT INTO karyo.analyses (id, image_id, pipeline_id, priority, lane_id, round) OVERRIDING SYSTEM VALUE
            SELECT i.id * 20000, i.id, 1, 2, l.id, 0 FROM karyo.images i, karyo.lanes l WHERE i.id < 6;
            """
        )
        before = connection.execute(reports).fetchall()
    for _ in range(2):
        upgrade(empty_postgres_url)
        check(empty_postgres_url)
        with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
            copied = connection.execute("SELECT image_id, case_id FROM karyo.analyses ORDER BY 1").fetchall()
            assert copied == [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)]
            assert connection.execute(reports).fetchall() == before == [("A-1", 3, 0, 3), ("A-2", 3, 1, 2)]
            with pytest.raises(psycopg.errors.ForeignKeyViolation):
                connection.execute("UPDATE karyo.analyses SET case_id = 2 WHERE image_id = 1")
        downgrade(empty_postgres_url, "0014")
        with psycopg.connect(empty_postgres_url.replace("+psycopg", "")) as connection:
            assert connection.execute(reports).fetchall() == before
