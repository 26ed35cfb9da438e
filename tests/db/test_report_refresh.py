"""Materialised reports: what is refreshed, when, and while others read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from db import reporting
from db.engine import SessionFactory
from db.report_refresh import LOCK_KEY, MATERIALISED, refresh_reports
from tests.support.small_year import add_small_year


def test_the_materialised_views_are_the_ones_of_the_database(session_factory: SessionFactory) -> None:
    with session_factory() as session:
        names = session.scalars(text("SELECT matviewname FROM pg_matviews WHERE schemaname = 'reporting'")).all()
        indexed = session.scalars(
            text("SELECT tablename FROM pg_indexes WHERE schemaname = 'reporting' AND indexdef LIKE 'CREATE UNIQUE%'")
        ).all()
    assert set(names) == set(MATERIALISED) == set(indexed)


def test_only_old_reports_are_refreshed(session_factory: SessionFactory) -> None:
    assert refresh_reports(session_factory, 3600) == []
    with session_factory.begin() as session:
        session.execute(
            text("UPDATE karyo.report_refreshes SET refreshed_at = now() - interval '2 hours' WHERE name = 'qc_drift'")
        )
    assert [refresh.name for refresh in refresh_reports(session_factory, 3600)] == ["qc_drift"]
    assert refresh_reports(session_factory, 3600) == []


def test_a_report_is_as_old_as_the_oldest_view_it_reads(session_factory: SessionFactory) -> None:
    with session_factory.begin() as session:
        session.execute(
            text("UPDATE karyo.report_refreshes SET refreshed_at = now() - interval '2 hours' WHERE name = 'case_runs'")
        )
    with session_factory() as session:
        ages = {name: reporting.find_age(session, name) for name in ("case_cost", "turnaround", "qc_drift", "backlog")}
    assert ages["case_cost"] == ages["turnaround"]
    assert ages["case_cost"] is not None
    assert ages["qc_drift"] is not None
    assert timedelta(hours=1.9) < datetime.now(UTC) - ages["case_cost"] < timedelta(hours=2.1)
    assert datetime.now(UTC) - ages["qc_drift"] < timedelta(hours=1)
    assert ages["backlog"] is None


def test_a_refresh_that_waits_follows_that_of_another_process(session_factory: SessionFactory) -> None:
    add_small_year(session_factory)
    with ThreadPoolExecutor(1) as pool, session_factory.begin() as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
        waiting = pool.submit(refresh_reports, session_factory, waits=True)
        with pytest.raises(TimeoutError):
            waiting.result(0.5)
        other.rollback()
        assert len(waiting.result(30)) == len(MATERIALISED)


def test_one_process_refreshes_while_others_read(session_factory: SessionFactory) -> None:
    add_small_year(session_factory)
    with session_factory.begin() as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_KEY})"))
        assert refresh_reports(session_factory) == []
        assert reporting.fetch(other, "case_runs")[1] == []
    with session_factory.begin() as reader:
        assert len(reporting.fetch(reader, "case_runs")[1]) == 0
        assert len(refresh_reports(session_factory)) == len(MATERIALISED)
        assert len(reporting.fetch(reader, "case_runs")[1]) == 5
