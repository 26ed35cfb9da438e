"""Filters and progress of campaigns."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from sqlalchemy import func, select, text

from db import campaigns, queue, workers
from db.schema import Analysis, Campaign, CaseResult


@pytest.fixture
def archive(laboratory: Any) -> Any:
    """Two cases of two laboratories; the first is analysed, with a trisomy and crowded cells."""
    production = laboratory.pipeline("old", alias="production")
    images = laboratory.images(2, "A-1", lab="north", banding="G", microscope="m1")
    with laboratory.sessions.begin() as session:
        queue.enqueue(session, images, production, 1)
    laboratory.result = dataclasses.replace(laboratory.result, iscn="47,XX,+21")
    for leased in laboratory.leased(10):
        laboratory.begin(leased)
        laboratory.finish(leased)
    laboratory.images(3, "B-1", lab="south", banding="Q", microscope="m2")
    with laboratory.sessions.begin() as session:
        (stale,) = queue.stale_cases(session, 1, 60)
        queue.write_case(session, stale, summary={}, artefacts={}, iscn="47,XX,+21", resolution="resolved")
        session.execute(text("UPDATE karyo.images SET created_at = '2020-01-01Z' WHERE id = 1"))
    return laboratory


@pytest.mark.parametrize(
    ("filters", "images"),
    [
        ({}, {1, 2, 3, 4, 5}),
        ({"case": "A-1"}, {1, 2}),
        ({"lab": "south"}, {3, 4, 5}),
        ({"banding": "Q"}, {3, 4, 5}),
        ({"microscope": "m1", "since": "2021-01-01"}, {2}),
        ({"until": "2021-01-01T00:00:00+00:00"}, {1}),
        ({"iscn": "47,XX,+21"}, {1, 2}),
        ({"flag": "crowded"}, {1, 2}),
        ({"flag": "out_of_focus"}, set()),
        ({"tissue": "blood"}, set()),
        ({"where": ["lab=south", "not case=A-1"]}, {3, 4, 5}),
    ],
)
def test_filters_select_images(archive: Any, filters: dict[str, str], images: set[int]) -> None:
    with archive.sessions() as session:
        assert set(session.scalars(campaigns.matching_images(session, filters))) == images


def test_a_campaign_enqueues_missing_analyses_at_backlog_priority(archive: Any) -> None:
    new = archive.pipeline("new")
    with archive.sessions.begin() as session:
        queue.enqueue(session, [1], new, 0)
        campaign = campaigns.create(session, pipeline_id=new, filters={"case": "A-1"}, name="trisomies again")
        assert campaign is not None
        assert (campaign.image_count, campaign.enqueued_count) == (2, 1)
        rows = session.execute(select(Analysis.image_id, Analysis.priority).where(Analysis.pipeline_id == new))
        assert sorted(map(tuple, rows)) == [(1, 0), (2, 2)]
        again = campaigns.create(session, pipeline_id=new, filters={"case": "A-1"})
        assert again is not None
        assert (again.image_count, again.enqueued_count) == (2, 0)


def test_a_new_pipeline_keeps_the_old_results(archive: Any) -> None:
    with archive.sessions.begin() as session:
        campaigns.create(session, pipeline_id=archive.pipeline("new"), filters={"case": "A-1"})
    archive.result = dataclasses.replace(archive.result, iscn="46,XX")
    for leased in archive.leased(10):
        archive.begin(leased)
        archive.finish(leased)
    with archive.sessions() as session:
        by_iscn = session.execute(select(Analysis.iscn, func.count()).group_by(Analysis.iscn))
        assert sorted(map(tuple, by_iscn)) == [("46,XX", 2), ("47,XX,+21", 2)]
        assert session.scalar(select(func.count()).select_from(CaseResult)) == 2


def test_an_estimate_counts_and_measures_and_writes_nothing(archive: Any) -> None:
    new = archive.pipeline("new")
    with archive.sessions.begin() as session:
        queue.enqueue(session, [1], new, 0)
        workers.record_heartbeat(session, "w1", 2)
        estimate = campaigns.estimate(session, new, {"where": ["lab=north or lab=south"]})
        assert (estimate.cases, estimate.images, estimate.missing, estimate.processes) == (2, 5, 4, 2)
        assert (estimate.seconds_per_image, estimate.measured_with) == (1.5, "old (000000000000)")
        assert estimate.hours == round(4 * 1.5 / 2 / 3600, 2)
        session.execute(text("UPDATE karyo.analyses SET seconds = 7200 WHERE state = 'done'"))
        assert campaigns.estimate(session, new, {}).hours == 4.0
        assert session.scalar(select(func.count()).select_from(Campaign)) == 0


def test_progress_counts_states_and_estimates_the_time_left(archive: Any) -> None:
    with archive.sessions.begin() as session:
        campaign = campaigns.create(session, pipeline_id=archive.pipeline("new"), filters={})
        assert campaign is not None
        assert campaigns.progress(session, campaign.id + 1) is None
    for leased in archive.leased(3):
        archive.begin(leased)
        archive.finish(leased)
    with archive.sessions.begin() as session:
        session.execute(
            text("UPDATE karyo.analyses SET finished_at = now() - id * interval '10 s' WHERE campaign_id IS NOT NULL"
                 " AND state = 'done'")
        )  # fmt: skip
        report = campaigns.progress(session, campaign.id)
        assert report is not None
        assert (report.images, report.enqueued, report.ended) == (5, 5, 3)
        assert report.states == {"done": 3, "pending": 2}
        assert report.seconds_left == 20
        assert [one.id for one in campaigns.list_progress(session)] == [campaign.id]
