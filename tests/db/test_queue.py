"""The life of an analysis, and what crashes and races do to it: nothing."""

from __future__ import annotations

import dataclasses
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from db import queue
from db.schema import Analysis, CaseResult, Chromosome, QcMetrics


def amount(laboratory: Any, table: type[Any]) -> int:
    with laboratory.sessions() as session:
        return int(session.scalar(select(func.count()).select_from(table)) or 0)


def at_once(number: int, work: Callable[[], Any]) -> list[Any]:
    """Results of ``work`` in ``number`` threads that start together."""
    gate = threading.Barrier(number)

    def run() -> Any:
        gate.wait()
        return work()

    with ThreadPoolExecutor(number) as pool:
        return [future.result() for future in [pool.submit(run) for _ in range(number)]]


def test_enqueue_adds_missing_pairs_only(laboratory: Any) -> None:
    pipeline, images = laboratory.pipeline(), laboratory.images(3)
    with laboratory.sessions.begin() as session:
        assert queue.enqueue(session, images[:2], pipeline, 1) == 2
        assert queue.enqueue(session, [*images, images[2]], pipeline, 2) == 1
        assert queue.enqueue(session, [], pipeline, 2) == 0
    assert [row.priority for row in laboratory.rows().values()] == [1, 1, 2]
    assert laboratory.states() == ["pending"] * 3


def test_enqueue_takes_more_images_than_a_statement_has_parameters(laboratory: Any) -> None:
    pipeline = laboratory.pipeline()
    laboratory.images(1)
    with laboratory.sessions.begin() as session:
        session.execute(
            text(
                "INSERT INTO karyo.images (sha256, object_key, case_id, file_name, format, byte_count, width, height,"
                " bit_depth) SELECT 'n' || n, 'k', (SELECT id FROM karyo.cases), 'f', 'PNG', 1, 1, 1, 8"
                " FROM generate_series(1, 40000) n"
            )
        )
        images = list(session.scalars(text("SELECT id FROM karyo.images")))
        assert queue.enqueue(session, images, pipeline, 2) == 40_001


def test_claim_takes_the_urgent_first_and_heeds_the_bound(laboratory: Any) -> None:
    pipeline = laboratory.pending(3, priority=2)
    laboratory.pending(2, priority=0, pipeline_id=pipeline)
    with laboratory.sessions.begin() as session:
        assert queue.claim(session, 3, max_queued=4) == [1, 4, 5]
    with laboratory.sessions.begin() as session:
        assert queue.claim(session, 3, max_queued=4) == [2]
        assert queue.claim(session, 3, max_queued=4) == []


def test_claimers_never_share_a_row(laboratory: Any) -> None:
    laboratory.pending(60)

    def drain() -> list[int]:
        mine: list[int] = []
        while True:
            with laboratory.sessions.begin() as session:
                claimed = queue.claim(session, 3, max_queued=1000)
            mine += claimed
            if not claimed:
                return mine

    shares = at_once(4, drain)
    assert sorted(claimed for share in shares for claimed in share) == list(range(1, 61))


def test_what_could_not_be_published_is_pending_again(laboratory: Any) -> None:
    laboratory.pending(3)
    with laboratory.sessions.begin() as session:
        claimed = queue.claim(session, 3, 10)
        assert queue.lease(session, claimed[:1], "w1", 60)
        assert queue.unclaim(session, claimed) == 2
    assert laboratory.states() == ["running", "pending", "pending"]


def test_lease_tells_the_worker_what_to_fetch(laboratory: Any) -> None:
    pipeline = laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    row = laboratory.rows()[leased.analysis_id]
    assert (leased.pipeline_id, leased.attempts, leased.token) == (pipeline, 0, row.lease_token)
    assert leased.object_key.startswith("sha256/")
    assert (row.state, row.worker, row.started_at) == ("running", "w1", None)


def test_a_message_that_comes_twice_is_worked_on_once(laboratory: Any) -> None:
    laboratory.pending(20)
    with laboratory.sessions.begin() as session:
        claimed = queue.claim(session, 20, 1000)

    def lease() -> list[int]:
        with laboratory.sessions.begin() as session:
            return [leased.analysis_id for leased in queue.lease(session, claimed, "w", 60)]

    leases = at_once(3, lease)
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
    assert amount(laboratory, Chromosome) == 46
    assert amount(laboratory, QcMetrics) == 1


def test_of_two_finishes_at_once_one_counts(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    assert sorted(at_once(3, lambda: laboratory.finish(leased))) == [False, False, True]
    assert amount(laboratory, Chromosome) == 46


def test_a_result_that_cannot_be_written_leaves_nothing_behind(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    twice = dataclasses.replace(laboratory.result, chromosomes=[laboratory.chromosome(0), laboratory.chromosome(0)])
    with pytest.raises(IntegrityError), laboratory.sessions.begin() as session:
        queue.finish(session, leased, twice)
    assert laboratory.states() == ["running"]
    assert amount(laboratory, Chromosome) == amount(laboratory, QcMetrics) == amount(laboratory, CaseResult) == 0


def test_finishing_what_was_never_begun_is_refused_by_the_database(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    with pytest.raises(IntegrityError, match="ck_analyses_done_was_begun"):
        laboratory.finish(leased)


@pytest.mark.parametrize("retaken", [False, True], ids=["reaped", "reaped and leased by another"])
def test_a_worker_that_lost_its_lease_can_do_nothing(laboratory: Any, retaken: bool) -> None:
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
    assert amount(laboratory, Chromosome) == 46 * len(current)


def test_a_forged_token_opens_nothing(laboratory: Any) -> None:
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


def test_an_interrupted_attempt_is_not_held_against_the_image(laboratory: Any) -> None:
    laboratory.pending(1)
    for _ in range(4):
        (leased,) = laboratory.leased(1)
        assert laboratory.begin(leased) == 1
        with laboratory.sessions.begin() as session:
            assert queue.release(session, leased, max_attempts=3)
    (row,) = laboratory.rows().values()
    assert (row.state, row.attempts, row.reason) == ("pending", 0, None)


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


def test_done_is_never_retried(laboratory: Any) -> None:
    laboratory.pending(1)
    (leased,) = laboratory.leased(1)
    laboratory.begin(leased)
    laboratory.finish(leased)
    with laboratory.sessions.begin() as session:
        assert queue.retry(session) == 0
    assert laboratory.states() == ["done"]


def test_messages_that_the_broker_lost_are_sent_again(laboratory: Any) -> None:
    laboratory.pending(2)
    with laboratory.sessions.begin() as session:
        lost = queue.claim(session, 2, 10)
    assert laboratory.reap(queued_timeout_seconds=60).unanswered == 0
    assert laboratory.reap(queued_timeout_seconds=0).unanswered == 2
    with laboratory.sessions.begin() as session:
        assert queue.lease(session, lost, "w1", 60) == []  # the old message turns up after all
        assert queue.claim(session, 2, 10) == lost
    with laboratory.sessions.begin() as session:
        assert [leased.attempts for leased in queue.lease(session, lost, "w1", 60)] == [0, 0]


def test_reapers_at_once_reap_once(laboratory: Any) -> None:
    laboratory.pending(20)
    for leased in laboratory.leased(20):
        laboratory.begin(leased)
    laboratory.expire_leases()
    reports = at_once(3, lambda: laboratory.reap(max_attempts=1))
    assert sum(report.quarantined for report in reports) == 20
    with laboratory.sessions() as session:
        assert session.scalars(select(CaseResult.state)).all() == ["stale"]


def finish_all(laboratory: Any) -> None:
    for leased in laboratory.leased(1000):
        laboratory.begin(leased)
        assert laboratory.finish(leased)


def stale(laboratory: Any, resend_seconds: float = 60.0) -> list[queue.StaleCase]:
    with laboratory.sessions.begin() as session:
        return queue.stale_cases(session, 10, resend_seconds)


def write(laboratory: Any, one: queue.StaleCase, iscn: str = "46,XX") -> bool:
    with laboratory.sessions.begin() as session:
        return queue.write_case(session, one, summary={"iscn": iscn}, artefacts={}, iscn=iscn, modal_count=46)


def test_a_case_is_summarised_when_its_last_image_has_ended(laboratory: Any) -> None:
    laboratory.pending(3)
    first, second, third = laboratory.leased(3)
    for leased in (first, second):
        laboratory.begin(leased)
        laboratory.finish(leased)
        assert stale(laboratory) == []
    with laboratory.sessions.begin() as session:
        queue.fail(session, third, "no_chromosomes", "None.")
    (due,) = stale(laboratory)
    assert due.revision == 3
    assert stale(laboratory) == []  # asked for a moment ago
    assert stale(laboratory, resend_seconds=0) == [due]
    assert write(laboratory, due)
    assert stale(laboratory, resend_seconds=0) == []


def test_a_summary_that_was_overtaken_is_not_written(laboratory: Any) -> None:
    pipeline = laboratory.pending(1)
    finish_all(laboratory)
    (overtaken,) = stale(laboratory)
    laboratory.pending(1, pipeline_id=pipeline)
    finish_all(laboratory)
    assert not write(laboratory, overtaken)
    (due,) = stale(laboratory)
    assert due.revision == overtaken.revision + 1
    assert write(laboratory, due)


def test_pipelines_of_one_case_are_summarised_apart(laboratory: Any) -> None:
    first = laboratory.pending(1)
    finish_all(laboratory)
    second = laboratory.pending(1, pipeline_id=laboratory.pipeline("second"))
    assert [due.pipeline_id for due in stale(laboratory)] == [first]
    finish_all(laboratory)
    assert [due.pipeline_id for due in stale(laboratory)] == [second]


def test_workers_that_end_images_of_one_case_at_once_do_not_deadlock(laboratory: Any) -> None:
    laboratory.pending(24)
    leases = laboratory.leased(24)

    def work() -> int:
        ended = 0
        while leases:
            try:
                leased = leases.pop()
            except IndexError:
                break
            laboratory.begin(leased)
            ended += laboratory.finish(leased)
        return ended

    assert sum(at_once(4, work)) == 24
    (due,) = stale(laboratory)
    assert due.revision == 24


def test_overview_shows_what_waits_and_what_went_wrong(laboratory: Any) -> None:
    laboratory.pending(3, priority=0)
    leased = laboratory.leased(1)[0]
    with laboratory.sessions.begin() as session:
        queue.fail(session, leased, "no_chromosomes", "None.")
    with laboratory.sessions() as session:
        seen = queue.overview(session)
    assert seen["states"] == {"pending": 2, "queued": 0, "running": 0, "done": 0, "failed": 1, "quarantined": 0}
    assert [(row["priority"], row["count"]) for row in seen["waiting"]] == [("stat", 2)]
    assert [(row["state"], row["reason"]) for row in seen["errors"]] == [("failed", "no_chromosomes")]


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
