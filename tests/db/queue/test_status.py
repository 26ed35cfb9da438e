"""The status of the queue."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from db import queue, workers
from db.schema import Priority


def overview(laboratory: Any) -> queue.Overview:
    with laboratory.sessions() as session:
        return queue.overview(session)


def test_waiting_analyses_and_errors_are_listed(laboratory: Any) -> None:
    laboratory.pending(3, priority=0)
    leased = laboratory.leased(1)[0]
    with laboratory.sessions.begin() as session:
        queue.fail(session, leased, "no_chromosomes", "None.")
    status = overview(laboratory)
    assert status.states == {"pending": 2, "queued": 0, "running": 0, "done": 0, "failed": 1, "quarantined": 0}
    assert [(row.priority, row.count) for row in status.waiting] == [("stat", 2)]
    assert [(row.state, row.reason) for row in status.errors] == [("failed", "no_chromosomes")]


def test_an_analysis_that_waits_for_another_attempt_is_waiting_and_an_error(laboratory: Any) -> None:
    pipeline = laboratory.pending(2, priority=2)
    laboratory.pending(1, priority=0, pipeline_id=pipeline)
    leased = laboratory.leased(2)[1]
    laboratory.begin(leased)
    with laboratory.sessions.begin() as session:
        queue.release(session, leased, max_attempts=3, retry_seconds=60, reason="flaky", sentence="Again.")
    status = overview(laboratory)
    assert [(row.priority, row.count) for row in status.waiting] == [("stat", 1), ("backlog", 1)]
    assert status.states["running"] == 1
    assert [(row.state, row.reason, row.sentence) for row in status.errors] == [("pending", "flaky", "Again.")]


def test_the_speed_gives_the_time_left(laboratory: Any) -> None:
    laboratory.pending(3)
    assert (overview(laboratory).images_per_minute, overview(laboratory).seconds_left) == (None, None)
    for leased in laboratory.leased(2):
        laboratory.begin(leased)
        laboratory.finish(leased)
    status = overview(laboratory)
    assert 0 < status.images_per_minute <= 120
    assert status.seconds_left == round(60 / status.images_per_minute)


def test_workers_and_paused_queues_are_listed(laboratory: Any) -> None:
    with laboratory.sessions.begin() as session:
        workers.record_heartbeat(session, "w2", 4)
        workers.record_heartbeat(session, "w1", 1)
        workers.record_heartbeat(session, "w1", 2)
        queue.pause(session, [Priority.BACKLOG], "night shift")
    status = overview(laboratory)
    assert [(worker.name, worker.processes) for worker in status.workers] == [("w1", 2), ("w2", 4)]
    assert [(row.priority, row.by) for row in status.paused] == [("backlog", "night shift")]


def test_the_overview_is_plain_json(laboratory: Any) -> None:
    laboratory.pending(2, priority=Priority.STAT)
    leased = laboratory.leased(1)[0]
    with laboratory.sessions.begin() as session:
        queue.fail(session, leased, "no_chromosomes", "None.")
        workers.record_heartbeat(session, "w1", 2)
        queue.pause(session, [Priority.BACKLOG], "night shift")
    written = json.loads(json.dumps(asdict(overview(laboratory)), default=str))
    (waiting,), (paused,), (worker,) = written.pop("waiting"), written.pop("paused"), written.pop("workers")
    assert waiting | {"oldest_seconds": 0} == {"priority": "stat", "count": 1, "oldest_seconds": 0}
    assert paused | {"since": ""} == {"priority": "backlog", "since": "", "by": "night shift"}
    assert list(worker) == ["name", "processes", "started_at", "silent_seconds"]
    assert written.pop("images_per_minute") > 0
    assert written.pop("seconds_left") > 0
    assert written == {
        "states": {"pending": 1, "queued": 0, "running": 0, "done": 0, "failed": 1, "quarantined": 0},
        "errors": [
            {
                "image": leased.file_name,
                "state": "failed",
                "reason": "no_chromosomes",
                "sentence": "None.",
                "analysis": leased.analysis_id,
            }
        ],
    }
