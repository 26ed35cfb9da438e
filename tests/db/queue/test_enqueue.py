"""Enqueueing of (image, pipeline) pairs."""

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


def test_images_of_a_case_are_split_into_rounds(laboratory: Any) -> None:
    pipeline = laboratory.pending(15, "big")
    laboratory.pending(30, "big", pipeline_id=pipeline)
    laboratory.pending(5, "small", pipeline_id=pipeline)
    assert [row.round for row in laboratory.rows().values()] == [0] * 20 + [1] * 20 + [2] * 5 + [0] * 5
