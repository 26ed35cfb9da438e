"""What an operator sees."""

from __future__ import annotations

from typing import Any

from db import queue, workers


def look(laboratory: Any) -> dict[str, Any]:
    with laboratory.sessions() as session:
        return queue.overview(session)


def test_what_waits_and_what_went_wrong(laboratory: Any) -> None:
    laboratory.pending(3, priority=0)
    leased = laboratory.leased(1)[0]
    with laboratory.sessions.begin() as session:
        queue.fail(session, leased, "no_chromosomes", "None.")
    seen = look(laboratory)
    assert seen["states"] == {"pending": 2, "queued": 0, "running": 0, "done": 0, "failed": 1, "quarantined": 0}
    assert [(row["priority"], row["count"]) for row in seen["waiting"]] == [("stat", 2)]
    assert [(row["state"], row["reason"]) for row in seen["errors"]] == [("failed", "no_chromosomes")]


def test_what_waits_for_another_attempt_counts_as_waiting_and_is_explained(laboratory: Any) -> None:
    pipeline = laboratory.pending(2, priority=2)
    laboratory.pending(1, priority=0, pipeline_id=pipeline)
    leased = laboratory.leased(2)[1]
    laboratory.begin(leased)
    with laboratory.sessions.begin() as session:
        queue.release(session, leased, max_attempts=3, retry_seconds=60, reason="flaky", sentence="Again.")
    seen = look(laboratory)
    assert [(row["priority"], row["count"]) for row in seen["waiting"]] == [("stat", 1), ("backlog", 1)]
    assert seen["states"]["running"] == 1
    assert [(row["state"], row["reason"], row["sentence"]) for row in seen["errors"]] == [
        ("pending", "flaky", "Again.")
    ]


def test_the_pace_and_what_is_left_of_it(laboratory: Any) -> None:
    laboratory.pending(3)
    assert (look(laboratory)["images_per_minute"], look(laboratory)["seconds_left"]) == (None, None)
    for leased in laboratory.leased(2):
        laboratory.begin(leased)
        laboratory.finish(leased)
    seen = look(laboratory)
    assert 0 < seen["images_per_minute"] <= 120
    assert seen["seconds_left"] == round(60 / seen["images_per_minute"])


def test_who_works_and_what_is_held_back(laboratory: Any) -> None:
    with laboratory.sessions.begin() as session:
        workers.say_alive(session, "w2", 4)
        workers.say_alive(session, "w1", 1)
        workers.say_alive(session, "w1", 2)
        queue.pause(session, [2], "night shift")
    seen = look(laboratory)
    assert [(worker["name"], worker["processes"]) for worker in seen["workers"]] == [("w1", 2), ("w2", 4)]
    assert [(row["priority"], row["by"]) for row in seen["paused"]] == [("backlog", "night shift")]
