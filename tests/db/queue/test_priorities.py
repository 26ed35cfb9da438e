"""Priorities of a case that waits, and the order in which the dispatcher claims."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from db import queue
from db.schema import Analysis, Case, Image, Priority, State
from tests.db.conftest import Laboratory


def case_id(laboratory: Laboratory, accession: str) -> int:
    with laboratory.sessions() as session:
        return session.scalars(select(Case.id).where(Case.accession == accession)).one()


def prioritise(laboratory: Laboratory, accession: str, priority: Priority) -> int:
    with laboratory.sessions.begin() as session:
        return queue.prioritise(session, case_id(laboratory, accession), priority)


def order(laboratory: Laboratory, amount: int = 100) -> list[str]:
    """Claim analyses and return their cases in the order in which they are published."""
    claimed = laboratory.claim(amount)
    with laboratory.sessions() as session:
        rows = select(Analysis.id, Case.accession).join(Image, Image.id == Analysis.image_id).join(Case)
        accessions = dict(session.execute(rows).all())
    return [accessions[analysis_id] for analysis_id in claimed]


def test_an_urgent_case_is_claimed_first(laboratory: Laboratory) -> None:
    pipeline = laboratory.pending(3, "A")
    laboratory.pending(2, "B", pipeline_id=pipeline)
    assert prioritise(laboratory, "B", Priority.STAT) == 2
    assert prioritise(laboratory, "B", Priority.STAT) == 0
    assert order(laboratory) == ["B", "B", "A", "A", "A"]


def test_a_case_that_can_wait_is_claimed_last(laboratory: Laboratory) -> None:
    pipeline = laboratory.pending(2, "A")
    laboratory.pending(2, "B", pipeline_id=pipeline)
    assert prioritise(laboratory, "A", Priority.BACKLOG) == 2
    assert order(laboratory) == ["B", "B", "A", "A"]


def test_queued_analyses_are_claimed_again_in_their_new_order(laboratory: Laboratory) -> None:
    pipeline = laboratory.pending(2, "A")
    laboratory.pending(2, "B", pipeline_id=pipeline)
    assert len(laboratory.claim(4)) == 4
    assert prioritise(laboratory, "B", Priority.STAT) == 2
    assert laboratory.states() == [State.QUEUED] * 2 + [State.PENDING] * 2
    assert order(laboratory) == ["B", "B"]


def test_analyses_of_workers_and_ended_ones_keep_their_priority(laboratory: Laboratory) -> None:
    laboratory.pending(3)
    running, ended = laboratory.leased(2)
    laboratory.begin(ended)
    assert laboratory.finish(ended)
    assert prioritise(laboratory, "A-1", Priority.STAT) == 1
    priorities = {row.id: row.priority for row in laboratory.rows().values()}
    assert [priorities[leased.analysis_id] for leased in (running, ended)] == [Priority.ROUTINE] * 2


def test_a_large_case_is_spread_over_rounds(laboratory: Laboratory) -> None:
    pipeline = laboratory.pending(2 * queue.IMAGES_PER_ROUND, "A", Priority.BACKLOG)
    laboratory.pending(1, "B", Priority.STAT, pipeline_id=pipeline)
    prioritise(laboratory, "A", Priority.STAT)
    assert order(laboratory).index("B") == queue.IMAGES_PER_ROUND


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        (Priority.BACKLOG, Priority.ROUTINE, Priority.ROUTINE),
        (Priority.STAT, Priority.ROUTINE, Priority.STAT),
        (Priority.ROUTINE, Priority.BACKLOG, Priority.ROUTINE),
    ],
)
def test_raising_lowers_nothing(laboratory: Laboratory, before: Priority, given: Priority, after: Priority) -> None:
    laboratory.pending(2, priority=before)
    with laboratory.sessions.begin() as session:
        queue.raise_priority(session, case_id(laboratory, "A-1"), given)
    assert {row.priority for row in laboratory.rows().values()} == {after}
    assert order(laboratory) == ["A-1"] * 2


def test_the_lane_becomes_that_of_the_laboratory(laboratory: Laboratory) -> None:
    laboratory.pending(2)
    with laboratory.sessions.begin() as session:
        session.get_one(Case, case_id(laboratory, "A-1")).lab = "north"
        session.flush()
        assert queue.raise_priority(session, case_id(laboratory, "A-1")) == 2
    assert order(laboratory) == ["A-1"] * 2


def test_priorities_change_while_dispatchers_claim(laboratory: Laboratory) -> None:
    for number in range(6):
        laboratory.pending(30, f"C-{number}")
    priorities = [Priority.STAT, Priority.BACKLOG, Priority.ROUTINE]

    def work() -> int:
        moved = 0
        for number in range(12):
            laboratory.claim(7)
            moved += prioritise(laboratory, f"C-{number % 6}", priorities[number % 3])
        return moved

    assert sum(laboratory.at_once(6, work)) > 0
    assert set(laboratory.states()) <= {State.PENDING, State.QUEUED}
