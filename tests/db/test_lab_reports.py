"""Reports for a laboratory's director: their values, computed by hand from four cases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import text

from db import reporting
from db.engine import SessionFactory
from db.pipelines import set_alias
from db.report_refresh import MATERIALISED, refresh_reports
from db.reporting import Period
from tests.support.small_year import NEW, OLD, add_small_year

Rows = Callable[..., list[dict[str, Any]]]


def day(month: int, number: int) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


def read(sessions: SessionFactory, name: str, order: str, **filters: str) -> list[dict[str, Any]]:
    with sessions() as session:
        columns, rows = reporting.fetch(session, name, filters, order=[order])
    return [dict(zip(columns, row, strict=True)) for row in rows]


@pytest.fixture
def rows(session_factory: SessionFactory) -> Rows:
    """Rows of a report of the small year, by the first ``order`` column."""
    add_small_year(session_factory)
    assert [refresh.name for refresh in refresh_reports(session_factory)] == list(MATERIALISED)
    return lambda name, order, **filters: read(session_factory, name, order, **filters)


def pick(row: dict[str, Any], *columns: str) -> tuple[Any, ...]:
    """Return values with figures rounded to three digits."""
    return tuple(round(row[name], 3) if isinstance(row[name], float) else row[name] for name in columns)


def test_turnaround(rows: Rows) -> None:
    first, second, third = rows("turnaround", "week")
    counts = ("week", "cases", "analysed", "signed")
    assert [pick(row, *counts) for row in (first, second, third)] == [
        (day(3, 2), 2, 2, 1),
        (day(3, 9), 1, 1, 0),
        (day(3, 30), 1, 0, 0),
    ]
    hours = ("to_analysis_median_hours", "to_analysis_p90_hours", "to_signature_median_hours", "whole_p90_hours")
    assert pick(first, *hours) == (9, 11.4, 24, 36)  # 6 and 12 h to the analysis; one signature after 24 more
    assert pick(second, *hours) == (3, 3, None, None)
    assert pick(third, *hours) == (None, None, None, None)


def test_cost_of_a_case(rows: Rows) -> None:
    first, second, third = rows("case_cost", "pipeline_digest", pipeline="old") + rows(
        "case_cost", "week", pipeline="new"
    )
    columns = ("week", "cases", "images", "computing_seconds", "seconds_per_case_median", "seconds_per_case_p90")
    assert pick(first, *columns) == (day(3, 2), 2, 3, 7, 3.5, 3.9)
    assert pick(first, "seconds_per_image", "bytes", "bytes_per_case_median") == (2.333, 6000, 3000)
    assert pick(second, *columns) == (day(3, 9), 1, 1, 8, 8, 8)
    assert pick(third, *columns) == (day(3, 2), 1, 2, 2, 2, 2)


def test_karyotypes_name_their_pipeline(rows: Rows) -> None:
    found = rows("karyotypes", "karyotype")
    columns = ("month", "tissue", "pipeline_digest", "karyotype", "cases", "share")
    assert {pick(row, *columns) for row in found} == {
        (day(3, 1), "blood", OLD, "46,XX", 1, 0.5),
        (day(3, 1), "blood", OLD, "47,XX,+21", 1, 0.5),
        (day(3, 1), "blood", NEW, "47,XX,+21", 1, 1),
    }


def test_abnormality_rate(rows: Rows) -> None:
    blood, marrow = rows("abnormality_rate", "tissue", pipeline="old")
    columns = ("tissue", "cases", "normal", "abnormal", "suspected", "insufficient", "abnormal_share", "called_share")
    assert pick(blood, *columns) == ("blood", 2, 1, 1, 0, 0, 0.5, 1)
    assert pick(marrow, *columns) == ("marrow", 1, 0, 0, 1, 0, None, 0)


def test_the_worklist_leaves_out_signed_cases_until_they_change(rows: Rows, session_factory: SessionFactory) -> None:
    columns = ("place", "accession", "reason", "iscn", "pipeline", "signature")
    expected = [
        (1, "A-2", "abnormal", "47,XX,+21", "old", "none"),
        (2, "A-3", "suspected", None, "old", "first_signed"),
    ]
    assert [pick(row, *columns) for row in rows("worklist", "place")] == expected
    add_review(session_factory)
    first, *_ = read(session_factory, "worklist", "place")
    assert pick(first, *columns) == (1, "A-1", "reopened", "46,XX", "old", "reopened")


def add_review(sessions: SessionFactory) -> None:
    with sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO karyo.reviews (case_id, analysis_id, follows, reviewer, action, detail)"
                """ VALUES (1, 1, 4, 'Bob', 'flip', '{"chromosome": 2}')"""
            )
        )


def test_the_backlog_ends_at_the_present_rate(rows: Rows, session_factory: SessionFactory) -> None:
    (row,) = rows("backlog_forecast", "priority")
    assert pick(row, "priority", "images", "images_per_hour", "ends_at") == ("routine", 1, 0, None)
    with session_factory.begin() as session:
        session.execute(text("UPDATE karyo.analyses SET finished_at = now() WHERE id IN (1, 2)"))
    (row,) = read(session_factory, "backlog_forecast", "priority")
    wait = row["ends_at"] - datetime.now(UTC)
    assert row["images_per_hour"] == 2
    assert 1700 < wait.total_seconds() <= 1800
    with session_factory.begin() as session:
        session.execute(text("UPDATE karyo.queues SET paused_at = now() WHERE priority = 1"))
    (row,) = read(session_factory, "backlog_forecast", "priority")
    assert pick(row, "paused", "ends_at") == (True, None)


def test_failures_have_their_share(rows: Rows) -> None:
    ingest, analysis = rows("failures_weekly", "week")
    columns = ("week", "stage", "reason", "pipeline", "images", "share")
    assert pick(ingest, *columns) == (day(3, 2), "ingest", "truncated", None, 1, 0.25)
    assert pick(analysis, *columns) == (day(3, 9), "analysis", "no_chromosomes", "old", 1, 0.5)


def test_concordance(rows: Rows) -> None:
    (row,) = rows("concordance", "month")
    assert pick(row, "month", "first_digest", "second_digest", "cases") == (day(3, 1), OLD, NEW, 1)
    assert pick(row, "same_outcome_share", "both_resolved", "same_karyotype_share") == (0, 1, 0)
    assert pick(row, "abnormal_to_normal", "normal_to_abnormal") == (0, 1)


def test_drift_of_image_quality(rows: Rows) -> None:
    found = {(row["week"], row["dimension"], row["name"]): row for row in rows("qc_drift", "week", pipeline="old")}
    columns = ("images", "score", "score_change", "class_confidence", "flagged_share")
    assert pick(found[day(3, 2), "lab", "north"], *columns) == (3, 0.7, None, 0.7, 0.333)
    assert pick(found[day(3, 2), "slide", "s1"], *columns) == (2, 0.6, None, 0.7, 0.5)
    assert pick(found[day(3, 9), "microscope", "m1"], *columns) == (1, 0.4, -0.3, 0.5, 0)
    assert len(found) == 7


def test_drift_of_pipelines(rows: Rows) -> None:
    first, second = rows("model_drift", "week", pipeline="old")
    columns = ("week", "ended", "images", "confidence_median", "confidence_p10", "confidence_change")
    assert pick(first, *columns) == (day(3, 2), 3, 3, 0.7, 0.62, None)
    assert pick(second, *columns) == (day(3, 9), 2, 1, 0.5, 0.5, -0.2)
    columns = ("chromosomes", "no_metaphase_share", "unexplained_objects")
    assert pick(first, *columns) == (46, 0, 2)
    assert pick(second, *columns) == (46, 1, 0)
    assert first["unknown_share"] == pytest.approx(1 / 138)


def test_edits_by_reviewer_leave_out_what_was_undone(rows: Rows) -> None:
    found = {(row["week"], row["reviewer"]): row for row in rows("reviewer_edits", "week")}
    columns = ("cells", "corrected_cells", "edits", "edits_per_cell", "reclassify", "flip")
    assert {key: pick(row, *columns) for key, row in found.items()} == {
        (day(3, 2), "Ada"): (2, 1, 1, 0.5, 1, 0),
        (day(3, 2), "Bob"): (2, 0, 0, 0, 0, 0),
        (day(3, 9), "Ada"): (1, 0, 0, 0, 0, 0),
    }


def test_edits_by_class(rows: Rows) -> None:
    (row,) = rows("class_edits", "month")
    columns = ("month", "pipeline", "class", "cells", "edits", "edits_per_cell", "reclassify", "flip")
    assert pick(row, *columns) == (day(3, 1), "old", "1", 3, 1, 0.333, 1, 0)


SIGNATURE = ("signature", "signed_iscn", "first_reader", "second_reader", "signed_at", "signed_pipeline")


def test_case_status_shows_a_signature_only_while_it_holds(rows: Rows, session_factory: SessionFactory) -> None:
    first, second, third, fourth = rows("case_status", "accession")
    signed = ("signed", "46,XX", "Ada", "Bob", datetime(2026, 3, 3, 12, tzinfo=UTC), "old")
    assert pick(first, "outcome", *SIGNATURE) == ("normal", *signed)
    assert pick(second, "outcome", *SIGNATURE) == ("abnormal", "none", *[None] * 5)
    assert pick(third, "outcome", *SIGNATURE) == ("suspected", "first_signed", *[None] * 5)
    assert pick(fourth, "outcome", *SIGNATURE) == (None, "none", *[None] * 5)

    with session_factory.begin() as session:
        set_alias(session, "production", 2)
    (row,) = read(session_factory, "case_status", "accession", accession="A-1")
    assert pick(row, "outcome", "iscn", "result_pipeline") == ("abnormal", "47,XX,+21", "new")
    assert pick(row, *SIGNATURE) == signed

    add_review(session_factory)
    (row,) = read(session_factory, "case_status", "accession", accession="A-1")
    assert pick(row, *SIGNATURE) == ("reopened", *[None] * 5)


def test_cases_are_limited_by_their_receipt(rows: Rows, session_factory: SessionFactory) -> None:
    assert len(rows("case_status", "accession")) == 4
    period = Period("received_at", None, date(2026, 3, 3), date(2026, 3, 10))
    with session_factory() as session:
        _, found = reporting.fetch(session, "case_status", period=period, order=["accession"])
    assert [row[0] for row in found] == ["A-2", "A-3"]


def test_a_week_is_in_the_period_if_one_of_its_days_is(rows: Rows, session_factory: SessionFactory) -> None:
    def weeks(first: date | None, last: date | None) -> list[datetime]:
        with session_factory() as session:
            period = Period("week", "week", first, last)
            _, found = reporting.fetch(session, "turnaround", period=period, order=["week"])
        return [row[0] for row in found]

    assert weeks(date(2026, 3, 8), None) == [day(3, 2), day(3, 9), day(3, 30)]
    assert weeks(date(2026, 3, 9), date(2026, 3, 29)) == [day(3, 9)]
    assert weeks(None, date(2026, 3, 2)) == [day(3, 2)]
    assert weeks(date.min, date.max) == [day(3, 2), day(3, 9), day(3, 30)]
