"""The reporting views, and the role that reads them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from db import queue, reporting
from db.engine import SessionFactory
from db.migrate import downgrade, upgrade
from db.report_refresh import refresh_reports
from db.schema import Base, Case, Image, IngestBatch, Priority, Rejection

VIEWS = [
    "abnormality_rate",
    "backlog",
    "backlog_forecast",
    "case_cost",
    "case_runs",
    "case_status",
    "class_edits",
    "concordance",
    "failures_by_reason",
    "failures_weekly",
    "freshness",
    "image_quality",
    "karyotypes",
    "model_drift",
    "qc_drift",
    "reviewer_edits",
    "signed_results",
    "throughput",
    "throughput_daily",
    "turnaround",
    "worklist",
]


def test_every_report_and_column_has_a_description(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        reports = reporting.list_reports(session)
    assert [report.name for report in reports] == VIEWS
    assert all(report.description.endswith(".") for report in reports)
    assert [(report.name, name) for report in reports for name, meaning in report.columns.items() if not meaning] == []


@pytest.mark.parametrize("name", VIEWS)
def test_the_reporting_role_reads_every_view(session_factory: SessionFactory, name: str) -> None:
    with session_factory() as session:
        session.execute(text("SET ROLE karyo_reporting"))
        columns, rows = reporting.fetch(session, name)
    assert columns
    assert bool(rows) == (name == "freshness")


@pytest.mark.parametrize("table", sorted(table.name for table in Base.metadata.sorted_tables))
def test_the_reporting_role_reads_no_table(session_factory: SessionFactory, table: str) -> None:
    with session_factory() as session:
        session.execute(text("SET ROLE karyo_reporting"))
        with pytest.raises(ProgrammingError, match="permission denied for schema karyo"):
            session.execute(text(f"SELECT FROM karyo.{table}"))


def test_the_reporting_role_has_rights_in_no_other_schema(session_factory: SessionFactory) -> None:
    """PostgreSQL lets every role read the catalogues, and nothing of karyoflow is in ``public``."""
    with session_factory() as session:
        schemas = session.scalars(
            text("SELECT nspname FROM pg_namespace WHERE has_schema_privilege('karyo_reporting', oid, 'USAGE')")
        ).all()
        readable = session.scalars(
            text(
                "SELECT DISTINCT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
                " AND has_table_privilege('karyo_reporting', c.oid, 'SELECT') ORDER BY 1"
            )
        ).all()
        refresh = text("REFRESH MATERIALIZED VIEW reporting.case_runs")
        session.execute(text("SET ROLE karyo_reporting"))
        with pytest.raises(ProgrammingError, match="permission denied for materialized view"):
            session.execute(refresh)
    assert set(schemas) == {"information_schema", "pg_catalog", "public", "reporting"}
    assert readable == ["information_schema", "pg_catalog", "reporting"]


def test_the_reporting_role_writes_nothing(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        session.execute(text("SET ROLE karyo_reporting"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text("CREATE TABLE reporting.mine (id int)"))


def test_unknown_names_are_rejected_with_the_known_ones(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        with pytest.raises(
            reporting.UnknownReport, match="there is no report 'x'; there are: abnormality_rate, backlog, "
        ):
            reporting.fetch(session, "x")
        with pytest.raises(reporting.UnknownReport, match="no column 'x'; it has: priority, pipeline"):
            reporting.fetch(session, "backlog", {"x": "1"})


def test_the_role_outlives_a_downgrade_without_its_rights(
    session_factory: SessionFactory, postgres_url: str, empty_postgres_url: str
) -> None:
    upgrade(empty_postgres_url)  # a second database of the server shares the role
    downgrade(postgres_url, "0001")
    with session_factory() as session:
        assert reporting.list_reports(session) == []
        assert session.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = 'karyo_reporting'")) == 1


@pytest.fixture
def busy(laboratory: Any) -> Any:
    """Case A-1 with images in three states, A-2 without analyses, and one rejected file."""
    laboratory.pending(4, pipeline_id=laboratory.pipeline("stream", alias="production"))
    laboratory.images(2, "A-2", lab="south")
    first, second, third = laboratory.leased(3)
    for leased in (first, second):
        laboratory.begin(leased)
        laboratory.finish(leased)
    with laboratory.sessions.begin() as session:
        queue.fail(session, third, "no_chromosomes", "Nothing to see.")
        batch = IngestBatch(kind="folder", source="here")
        session.add(batch)
        session.flush()
        session.add(Rejection(batch_id=batch.id, file_name="a.tif", reason="truncated", sentence="It ends too soon."))
    return laboratory


def report(laboratory: Any, name: str, **filters: str) -> list[dict[str, Any]]:
    with laboratory.sessions() as session:
        columns, rows = reporting.fetch(session, name, filters)
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.mark.parametrize("name", ["throughput", "throughput_daily"])
def test_throughput_counts_ended_analyses(busy: Any, name: str) -> None:
    refresh_reports(busy.sessions)
    (row,) = report(busy, name)
    assert (row["pipeline"], row["images"], row["done"], row["failed"], row["quarantined"]) == ("stream", 3, 2, 1, 0)
    assert (row["seconds_median"], row["seconds_p95"]) == (1.5, 1.5)
    assert 0 < row["turnaround_median_seconds"] <= row["turnaround_p95_seconds"] < 60


def test_case_status_counts_states(busy: Any) -> None:
    first, second = sorted(report(busy, "case_status"), key=lambda row: str(row["accession"]))
    assert (first["images"], first["done"], first["failed"], first["pending"]) == (4, 2, 1, 1)
    assert (first["summary"], first["iscn"]) == ("stale", None)
    assert (second["images"], second["not_requested"], second["lab"]) == (2, 2, "south")
    assert (second["summary"], second["updated_at"]) == ("none", None)

    for leased in busy.leased(1):
        busy.begin(leased)
        busy.finish(leased)
    headline = {
        "iscn": "46,XX",
        "modal_count": 46,
        "resolution": "resolved",
        "why": "2 of 3 cells with 46 chromosomes agree exactly.",
        "voters": 3,
        "karyotype_agreement": 0.75,
        "count_min": 44,
        "count_max": 47,
    }
    summarise(busy, cell_count=4, **headline)
    (row,) = report(busy, "case_status", accession="A-1")
    assert {name: row[name] for name in headline} == headline
    assert (row["summary"], row["cells"], row["done"]) == ("current", 4, 3)
    assert (row["result_pipeline"], row["result_pipeline_digest"]) == (row["pipeline"], row["pipeline_digest"])
    assert row["result_in_production"] is True


def summarise(laboratory: Any, **columns: Any) -> None:
    with laboratory.sessions.begin() as session:
        (due,) = queue.stale_cases(session, 1, 60)
        queue.write_case(session, due, summary={}, artefacts={}, **columns)


def test_case_status_keeps_the_last_result_until_the_pipeline_in_production_has_one(busy: Any) -> None:
    for leased in busy.leased(1):
        busy.begin(leased)
        busy.finish(leased)
    summarise(busy, iscn="46,XX", resolution="resolved")
    promoted = busy.pipeline("better", alias="production")
    (row,) = report(busy, "case_status", accession="A-1")
    assert (row["pipeline"], row["not_requested"], row["iscn"]) == ("better", 4, "46,XX")
    assert (row["result_pipeline"], row["result_in_production"], row["summary"]) == ("stream", False, "stale")
    assert row["result_pipeline_digest"] != row["pipeline_digest"]

    with busy.sessions.begin() as session:
        images = session.scalars(select(Image.id).join(Case).where(Case.accession == "A-1")).all()
        queue.enqueue(session, images[:1], promoted, Priority.ROUTINE)
    (leased,) = busy.leased(1)
    busy.begin(leased)
    busy.finish(leased)
    (row,) = report(busy, "case_status", accession="A-1")
    assert (row["done"], row["iscn"], row["result_pipeline"]) == (1, "46,XX", "stream")

    summarise(busy, resolution="not_resolved", why="The only complete cell has quality 0.42, and 0.7 is needed.")
    (row,) = report(busy, "case_status", accession="A-1")
    assert (row["iscn"], row["resolution"], row["summary"]) == (None, "not_resolved", "current")
    assert (row["result_pipeline"], row["result_in_production"]) == ("better", True)


def test_a_karyotype_without_a_resolution_is_refused(busy: Any) -> None:
    for resolution in (None, "not_resolved"):
        for leased in busy.leased(1):
            busy.begin(leased)
            busy.finish(leased)
        with pytest.raises(IntegrityError, match="iscn_is_resolved"):
            summarise(busy, iscn="46,XX", resolution=resolution)


def test_image_quality_lists_done_images(busy: Any) -> None:
    rows = report(busy, "image_quality", accession="A-1")
    columns = ("chromosome_count", "in_production", "flags", "unexplained_objects")
    assert [tuple(row[name] for name in columns) for row in rows] == [(46, True, ["crowded"], 1)] * 2


def test_failures_are_grouped_by_reason(busy: Any) -> None:
    rows = {(row["stage"], row["reason"]): row for row in report(busy, "failures_by_reason")}
    assert set(rows) == {("ingest", "truncated"), ("analysis", "no_chromosomes")}
    assert rows["ingest", "truncated"]["example_file"] == "a.tif"
    assert rows["analysis", "no_chromosomes"]["example_sentence"] == "Nothing to see."


def test_backlog_counts_active_analyses(busy: Any) -> None:
    (row,) = report(busy, "backlog")
    assert (row["priority"], row["pending"], row["queued"], row["running"]) == ("routine", 1, 0, 0)
    assert 0 < row["oldest_seconds"] < 60
