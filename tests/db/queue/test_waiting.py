"""Into the queue and out of it towards the broker."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from db import queue


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

    shares = laboratory.at_once(4, drain)
    assert sorted(claimed for share in shares for claimed in share) == list(range(1, 61))


def test_what_could_not_be_published_is_pending_again(laboratory: Any) -> None:
    laboratory.pending(3)
    with laboratory.sessions.begin() as session:
        claimed = queue.claim(session, 3, 10)
        assert queue.lease(session, claimed[:1], "w1", 60)
        assert queue.unclaim(session, claimed) == 2
    assert laboratory.states() == ["running", "pending", "pending"]
