"""Recovery of expired leases and lost messages."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from db import queue
from db.schema import CaseResult


def test_the_third_death_quarantines_the_image_and_not_its_neighbours(laboratory: Any) -> None:
    laboratory.pending(3)
    for attempt in (1, 2, 3):
        poison, *_neighbours = laboratory.leased(3)
        assert laboratory.begin(poison) == attempt
        laboratory.expire_leases()  # the worker died
        laboratory.reap(max_attempts=3)
    rows = list(laboratory.rows().values())
    assert [(row.state, row.attempts) for row in rows] == [("quarantined", 3), ("pending", 0), ("pending", 0)]
    assert rows[0].reason == queue.WORKER_LOST
    assert "karyo retry" in str(rows[0].error)


def test_a_shared_attempt_that_dies_does_not_count_and_makes_suspects(laboratory: Any) -> None:
    laboratory.pending(3)
    for leased in (leases := laboratory.leased(3))[:2]:
        assert not leased.suspect
        assert laboratory.begin(leased, shared=True) == 1
    laboratory.expire_leases()
    assert laboratory.reap(max_attempts=1).quarantined == 0
    assert [row.attempts for row in laboratory.rows().values()] == [0, 0, 0]
    poison, neighbour, untouched = laboratory.leased(3)
    assert [leased.suspect for leased in (poison, neighbour, untouched)] == [True, True, False]
    assert leases[0].pixels == poison.pixels > 0

    laboratory.begin(poison)
    laboratory.expire_leases()
    assert laboratory.reap(max_attempts=1).quarantined == 1
    assert laboratory.states() == ["quarantined", "pending", "pending"]


def test_done_is_never_retried(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    laboratory.finish(leased)
    with laboratory.sessions.begin() as session:
        assert queue.retry(session) == 0
    assert laboratory.states() == ["done"]


def test_lost_messages_are_sent_again(laboratory: Any) -> None:
    laboratory.pending(2)
    lost = laboratory.claim(2)
    assert laboratory.reap(queued_timeout_seconds=60).unanswered == 0
    assert laboratory.reap(queued_timeout_seconds=0).unanswered == 2
    with laboratory.sessions.begin() as session:
        assert queue.lease(session, lost, "w1", 60) == []  # the old message arrives late
    assert laboratory.claim(2) == lost
    with laboratory.sessions.begin() as session:
        assert [leased.attempts for leased in queue.lease(session, lost, "w1", 60)] == [0, 0]


def test_concurrent_reapers_recover_once(laboratory: Any) -> None:
    laboratory.pending(20)
    for leased in laboratory.leased(20):
        laboratory.begin(leased)
    laboratory.expire_leases()
    reports = laboratory.at_once(3, lambda: laboratory.reap(max_attempts=1))
    assert sum(report.quarantined for report in reports) == 20
    with laboratory.sessions() as session:
        assert session.scalars(select(CaseResult.state)).all() == ["stale"]


def test_only_the_image_that_killed_its_worker_is_delayed(laboratory: Any) -> None:
    laboratory.pending(3)
    poison, *neighbours = laboratory.leased(3)
    laboratory.begin(poison)
    laboratory.expire_leases()
    laboratory.reap(retry_seconds=60)
    assert laboratory.claim(9) == [leased.analysis_id for leased in neighbours]
    assert len(laboratory.waits()) == 1
    laboratory.end_waits()
    laboratory.reap()
    assert laboratory.claim(9) == [poison.analysis_id]
