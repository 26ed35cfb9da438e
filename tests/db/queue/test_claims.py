"""Claims: strict priorities, fair lanes, a bound for all schedulers, and pauses."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select

from db import queue
from db.schema import Analysis, Case, Image, Queue


def claim(laboratory: Any, limit: int, max_queued: int = 10**6, priority: int = 1) -> list[int]:
    with laboratory.sessions.begin() as session:
        return [analysis_id for analysis_id, _ in queue.claim(session, priority, limit, max_queued)]


def order(laboratory: Any, step: int) -> list[int]:
    """Everything that is pending, in the order it is handed out, claimed ``step`` at a time."""
    out: list[int] = []
    while claimed := claim(laboratory, step):
        out += claimed
    return out


def enqueue(laboratory: Any, pipeline: int, lab: str, amount: int) -> None:
    images = laboratory.images(amount, lab, lab=lab)
    with laboratory.sessions.begin() as session:
        queue.enqueue(session, images, pipeline, 1)


def label(laboratory: Any, column: Any) -> dict[int, str]:
    """Case or laboratory by analysis."""
    with laboratory.sessions() as session:
        found = select(Analysis.id, column).join(Image, Image.id == Analysis.image_id).join(Case)
        return dict(session.execute(found).all())


def test_each_queue_has_a_bound_of_its_own(laboratory: Any) -> None:
    pipeline = laboratory.pending(9, priority=2)
    assert len(claim(laboratory, 100, max_queued=4, priority=2)) == 4
    laboratory.pending(2, priority=0, pipeline_id=pipeline)
    assert claim(laboratory, 100, max_queued=4, priority=2) == []
    assert claim(laboratory, 100, max_queued=4, priority=0) == [10, 11]


def test_a_half_empty_queue_is_refilled(laboratory: Any) -> None:
    laboratory.pending(9)
    first = claim(laboratory, 100, max_queued=4)
    for taken, claimed in ((first[:1], []), (first[1:2], [5, 6])):
        with laboratory.sessions.begin() as session:
            queue.lease(session, taken, "w", 60)
        assert claim(laboratory, 100, max_queued=4) == claimed


def test_claimable_predicts_claim(laboratory: Any) -> None:
    def claimable() -> list[int]:
        with laboratory.sessions.begin() as session:
            return queue.claimable(session, max_queued=4)

    assert claimable() == []
    pipeline = laboratory.pending(9, priority=2)
    laboratory.pending(1, priority=0, pipeline_id=pipeline)
    assert claimable() == [0, 2]
    assert len(claim(laboratory, 100, max_queued=4, priority=0)) == 1
    first = claim(laboratory, 100, max_queued=4, priority=2)
    assert claimable() == []
    for taken, found in ((first[:1], []), (first[1:2], [2])):
        with laboratory.sessions.begin() as session:
            queue.lease(session, taken, "w", 60)
        assert claimable() == found
    with laboratory.sessions.begin() as session:
        queue.pause(session, [2], "somebody")
    assert claimable() == []


def test_concurrent_claims_are_disjoint_and_bounded(laboratory: Any) -> None:
    laboratory.pending(60)
    shares = laboratory.at_once(4, lambda: claim(laboratory, 40, max_queued=40))
    assert sorted(analysis_id for share in shares for analysis_id in share) == list(range(1, 41))


def test_laboratories_take_turns(laboratory: Any) -> None:
    pipeline = laboratory.pipeline()
    for lab, amount in (("north", 60), ("south", 10), ("east", 10)):
        enqueue(laboratory, pipeline, lab, amount)
    labs = label(laboratory, Case.lab)
    handed_out = [labs[analysis_id] for analysis_id in order(laboratory, step=4)]
    assert Counter(handed_out[:30]) == {"north": 10, "south": 10, "east": 10}
    assert len(handed_out) == 80


def test_an_idle_laboratory_gains_no_credit(laboratory: Any) -> None:
    pipeline = laboratory.pipeline()
    enqueue(laboratory, pipeline, "late", 1)
    enqueue(laboratory, pipeline, "busy", 40)
    assert len(claim(laboratory, 31)) == 31
    enqueue(laboratory, pipeline, "late", 10)
    labs = label(laboratory, Case.lab)
    assert Counter(labs[analysis_id] for analysis_id in order(laboratory, step=3)[:10]) == {"late": 5, "busy": 5}


def test_a_large_case_delays_the_next_one_by_one_round(laboratory: Any) -> None:
    pipeline = laboratory.pending(100, "large")
    assert len(claim(laboratory, 30)) == 30
    laboratory.pending(8, "later", pipeline_id=pipeline)
    cases = label(laboratory, Case.accession)
    handed_out = [cases[analysis_id] for analysis_id in order(laboratory, step=7)]
    assert handed_out.index("later") <= queue.IMAGES_PER_ROUND
    assert Counter(handed_out) == {"large": 70, "later": 8}


def test_cases_of_usual_size_are_claimed_in_order_of_arrival(laboratory: Any) -> None:
    pipeline = laboratory.pending(queue.IMAGES_PER_ROUND, "first")
    laboratory.pending(queue.IMAGES_PER_ROUND, "second", pipeline_id=pipeline)
    assert order(laboratory, step=6) == list(range(1, 2 * queue.IMAGES_PER_ROUND + 1))


def test_a_claim_names_the_pipeline(laboratory: Any) -> None:
    first = laboratory.pending(1)
    second = laboratory.pending(1, pipeline_id=laboratory.pipeline("second"))
    with laboratory.sessions.begin() as session:
        assert queue.claim(session, 1, 9, 9) == [queue.Claimed(1, first), queue.Claimed(2, second)]


def test_unclaimed_analyses_are_pending_again(laboratory: Any) -> None:
    laboratory.pending(3)
    claimed = claim(laboratory, 3)
    with laboratory.sessions.begin() as session:
        assert queue.lease(session, claimed[:1], "w1", 60)
        assert queue.unclaim(session, claimed) == 2
    assert laboratory.states() == ["running", "pending", "pending"]


def test_a_paused_queue_is_not_claimed_and_others_are(laboratory: Any) -> None:
    pipeline = laboratory.pending(4, priority=2)
    laboratory.pending(2, priority=0, pipeline_id=pipeline)
    claim(laboratory, 2, priority=2)
    with laboratory.sessions.begin() as session:
        queue.lease(session, [1], "w", 60)
        assert queue.pause(session, [2], by="night shift") == 1
        assert queue.pause(session, [2], by="day shift") == 0
        assert session.get_one(Queue, 2).paused_by == "night shift"
    assert laboratory.states() == ["running"] + ["pending"] * 5
    assert laboratory.claim(9) == [5, 6]
    with laboratory.sessions.begin() as session:
        assert queue.resume(session, [0, 1, 2]) == 1
    assert laboratory.claim(9) == [2, 3, 4]
