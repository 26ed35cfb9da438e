"""The reporting views, and who may read them."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from db import reporting
from db.engine import SessionFactory
from db.migrate import downgrade, upgrade
from db.schema import Base

VIEWS = ["backlog", "case_status", "failures_by_reason", "image_quality", "throughput", "throughput_daily"]


def test_every_report_and_column_says_what_it_means(session_factory: SessionFactory) -> None:
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
    assert rows == []


@pytest.mark.parametrize("table", sorted(table.name for table in Base.metadata.sorted_tables))
def test_the_reporting_role_reads_no_table(session_factory: SessionFactory, table: str) -> None:
    with session_factory() as session:
        session.execute(text("SET ROLE karyo_reporting"))
        with pytest.raises(ProgrammingError, match="permission denied for schema karyo"):
            session.execute(text(f"SELECT FROM karyo.{table}"))


def test_the_reporting_role_writes_nothing(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        session.execute(text("SET ROLE karyo_reporting"))
        with pytest.raises(ProgrammingError, match="permission denied"):
            session.execute(text("CREATE TABLE reporting.mine (id int)"))


def test_unknown_names_are_answered_with_the_known_ones(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        with pytest.raises(reporting.UnknownReport, match="there is no report 'x'; there are: backlog, case_status"):
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
