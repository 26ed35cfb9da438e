"""Leases and results under crashes and races."""

from __future__ import annotations

import dataclasses
import math
import uuid
from typing import Any

import numpy as np
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from db import queue
from db.schema import Analysis, CaseResult, Chromosome, QcMetrics


def test_a_lease_names_the_object_to_fetch(laboratory: Any) -> None:
    pipeline = laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    row = laboratory.rows()[leased.analysis_id]
    assert (leased.pipeline_id, leased.attempts, leased.token) == (pipeline, 0, row.lease_token)
    assert leased.object_key.startswith("sha256/")
    assert (row.state, row.worker, row.started_at) == ("running", "w1", None)


def test_a_repeated_message_leases_once(laboratory: Any) -> None:
    laboratory.pending(20)
    claimed = laboratory.claim(20)

    def lease() -> list[int]:
        with laboratory.sessions.begin() as session:
            return [leased.analysis_id for leased in queue.lease(session, claimed, "w", 60)]

    leases = laboratory.at_once(3, lease)
    assert sorted(analysis_id for share in leases for analysis_id in share) == claimed


def test_finish_writes_everything_once(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    assert laboratory.begin(leased) == 1
    assert laboratory.finish(leased)
    assert not laboratory.finish(leased)
    row = laboratory.rows()[leased.analysis_id]
    assert (row.state, row.iscn, row.seconds, row.lease_token) == ("done", "46,XX", 1.5, None)
    assert row.finished_at is not None
    assert laboratory.amount(Chromosome) == 46
    assert laboratory.amount(QcMetrics) == 1


def test_finish_all_writes_only_held_leases(laboratory: Any) -> None:
    laboratory.pending(3)
    first, lost, last = laboratory.leased(3)
    for leased in (first, lost, last):
        laboratory.begin(leased)
    forged = dataclasses.replace(lost, token=uuid.uuid4())
    with laboratory.sessions.begin() as session:
        finished = [(leased, laboratory.result) for leased in (first, forged, last)]
        assert queue.finish_all(session, finished) == {first.analysis_id, last.analysis_id}
    assert laboratory.states() == ["done", "running", "done"]
    assert laboratory.amount(Chromosome) == 92


def test_results_are_stored_exactly(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    embedding = np.arange(8, dtype="<f2").tobytes()
    chromosome = laboratory.chromosome(0) | {"embedding": embedding, "centromere_index": None, "width": np.float32(2.5)}
    qc = laboratory.result.qc | {"focus": float("nan"), "spread": float("inf")}
    laboratory.result = dataclasses.replace(laboratory.result, chromosomes=[chromosome], qc=qc)
    assert laboratory.finish(leased)
    with laboratory.sessions() as session:
        stored, quality = session.scalars(select(Chromosome)).one(), session.scalars(select(QcMetrics)).one()
    exact = chromosome.keys() - {"class_score", "score", "top5_scores"}
    assert {name: getattr(stored, name) for name in exact} == {name: chromosome[name] for name in exact}
    assert stored.top5_scores == pytest.approx(chromosome["top5_scores"], rel=1e-6)
    assert (math.isnan(quality.focus), quality.spread, quality.flags) == (True, math.inf, ["crowded"])
    assert quality.unexplained_objects == 1


def test_of_concurrent_finishes_one_succeeds(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    assert sorted(laboratory.at_once(3, lambda: laboratory.finish(leased))) == [False, False, True]
    assert laboratory.amount(Chromosome) == 46


def test_a_rejected_result_writes_nothing(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    twice = dataclasses.replace(laboratory.result, chromosomes=[laboratory.chromosome(0), laboratory.chromosome(0)])
    with pytest.raises(IntegrityError), laboratory.sessions.begin() as session:
        queue.finish(session, leased, twice)
    assert laboratory.states() == ["running"]
    assert laboratory.amount(Chromosome) == laboratory.amount(QcMetrics) == laboratory.amount(CaseResult) == 0


def test_the_database_rejects_a_result_without_an_attempt(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    with pytest.raises(IntegrityError, match="ck_analyses_done_was_begun"):
        laboratory.finish(leased)


@pytest.mark.parametrize("retaken", [False, True], ids=["reaped", "reaped and leased by another"])
def test_a_lost_lease_changes_nothing(laboratory: Any, retaken: bool) -> None:
    laboratory.pending(1)
    (lost,) = laboratory.leased(1)
    laboratory.begin(lost)
    laboratory.expire_leases()
    assert laboratory.reap() == queue.ReapReport(expired=1, quarantined=0, unanswered=0)
    current = laboratory.leased(1, worker="w2") if retaken else []
    before = laboratory.rows()[lost.analysis_id]
    assert laboratory.begin(lost) is None
    assert not laboratory.finish(lost)
    with laboratory.sessions.begin() as session:
        assert not queue.fail(session, lost, "no_chromosomes", "None.")
        assert not queue.release(session, lost, max_attempts=3, reason="crash", sentence="It crashed.")
        assert queue.extend(session, [lost], 60) == set()
    after = laboratory.rows()[lost.analysis_id]
    assert (after.state, after.attempts, after.lease_token) == (before.state, before.attempts, before.lease_token)
    assert all(laboratory.begin(leased) == 2 and laboratory.finish(leased) for leased in current)
    assert laboratory.amount(Chromosome) == 46 * len(current)


def test_a_forged_token_begins_nothing(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    assert laboratory.begin(dataclasses.replace(leased, token=uuid.uuid4())) is None
    assert laboratory.begin(leased) == 1


def test_extended_leases_are_not_reaped(laboratory: Any) -> None:
    laboratory.pending(2)
    kept, lost = laboratory.leased(2)
    laboratory.expire_leases()
    with laboratory.sessions.begin() as session:
        assert queue.extend(session, [kept], 60) == {kept.analysis_id}
    laboratory.reap()
    assert laboratory.states() == ["running", "pending"]
    with laboratory.sessions.begin() as session:
        assert queue.extend(session, [kept, lost], 60) == {kept.analysis_id}


def test_the_third_failure_quarantines_with_its_reason(laboratory: Any) -> None:
    laboratory.pending(1)
    for state in ("pending", "pending", "quarantined"):
        (leased,) = laboratory.leased(1)
        laboratory.begin(leased)
        with laboratory.sessions.begin() as session:
            assert queue.release(session, leased, max_attempts=3, reason="out_of_memory", sentence="Too large.")
        assert laboratory.states() == [state]
    (row,) = laboratory.rows().values()
    assert (row.reason, row.error) == ("out_of_memory", "Too large.")


def test_delays_between_attempts_grow(laboratory: Any) -> None:
    laboratory.pending(40)
    waits = []
    for attempt in (1, 2):
        for leased in laboratory.leased(40):
            laboratory.begin(leased)
            with laboratory.sessions.begin() as session:
                queue.release(session, leased, max_attempts=3, retry_seconds=60, reason="flaky", sentence="Again.")
        assert laboratory.claim(40) == []
        waits.append(laboratory.waits())
        assert all(25 * attempt <= wait <= 90 * attempt for wait in waits[-1])
        assert len({round(wait) for wait in waits[-1]}) > 10
        laboratory.end_waits()
        laboratory.reap()
    assert sum(waits[1]) > 1.5 * sum(waits[0])


def test_release_delays_an_image_only_with_retry_seconds(laboratory: Any) -> None:
    laboratory.pending(2)
    leaving, unable = laboratory.leased(2)
    with laboratory.sessions.begin() as session:
        queue.release(session, leaving, max_attempts=3)
        queue.release(session, unable, max_attempts=3, retry_seconds=60)
    assert laboratory.claim(9) == [leaving.analysis_id]
    assert len(laboratory.waits()) == 1


def test_an_interrupted_attempt_does_not_count(laboratory: Any) -> None:
    laboratory.pending(1)
    for _ in range(4):
        (leased,) = laboratory.leased(1)
        assert laboratory.begin(leased) == 1
        with laboratory.sessions.begin() as session:
            assert queue.release(session, leased, max_attempts=3)
    (row,) = laboratory.rows().values()
    assert (row.state, row.attempts, row.reason) == ("pending", 0, None)


@pytest.mark.parametrize("suspect", [False, True])
def test_a_released_shared_attempt_is_suspect_only_if_marked(laboratory: Any, suspect: bool) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased, shared=True)
    with laboratory.sessions.begin() as session:
        assert queue.release(session, leased, max_attempts=3, suspect=suspect)
    (again,) = laboratory.leased(1)
    assert (again.suspect, again.attempts) == (suspect, 0)


def test_a_named_failure_is_final_until_retried(laboratory: Any) -> None:
    laboratory.pending(2)
    (first, second) = laboratory.leased(2)
    for leased, reason in ((first, "no_chromosomes"), (second, "too_dark")):
        laboratory.begin(leased)
        with laboratory.sessions.begin() as session:
            assert queue.fail(session, leased, reason, "There is nothing to see.")
            assert not queue.fail(session, leased, reason, "There is nothing to see.")
    assert laboratory.states() == ["failed", "failed"]
    with laboratory.sessions.begin() as session:
        assert queue.retry(session, reason="too_dark", accession="A-2") == 0
        assert queue.retry(session, reason="too_dark", accession="A-1") == 1
    rows = list(laboratory.rows().values())
    assert [(row.state, row.attempts) for row in rows] == [("failed", 1), ("pending", 0)]


def test_the_database_refuses_impossible_rows(laboratory: Any) -> None:
    laboratory.pending(1)
    for statement, constraint in (
        ("state = 'running'", "running_is_leased"),
        ("state = 'failed', finished_at = now()", "failure_has_reason"),
        ("finished_at = now()", "ended_is_finished"),
        ("state = 'lost'", "state"),
    ):
        with pytest.raises(IntegrityError, match=f"ck_analyses_{constraint}"), laboratory.sessions.begin() as session:
            session.execute(text(f"UPDATE karyo.{Analysis.__tablename__} SET {statement}"))
    assert laboratory.states() == ["pending"]
