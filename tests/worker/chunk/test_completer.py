"""Results share a commit, and a result that the database refuses spoils no other."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from db import queue
from db.queue import AnalysisResult
from karyotyping.model import Quality
from worker.chunk.completer import Completer
from worker.chunk.in_flight import InFlight
from worker.process.retries import retrying_transactions

if TYPE_CHECKING:
    from tests.support.laboratory import Laboratory


QUALITY = Quality(2, "dark_on_light", 1, 0.5, 0.01, 0.01, 2, 4, 0, 0, 0, 0, 0, 0, 0.8, 0.7)
CHROMOSOME = {
    "box": [4, 4, 4, 16],
    "mask": "abc",
    "class_id": 1,
    "class_score": 0.8,
    "score": 0.9,
    "top5_classes": [1],
    "top5_scores": [0.8],
    "length": 16.0,
    "width": 4.0,
    "centromere_index": 0.4,
    "orientation": "p_up",
    "embedding": None,
    "flags": [],
}


def result(*ordinals: int) -> AnalysisResult:
    chromosomes = [{"ordinal": ordinal, **CHROMOSOME} for ordinal in ordinals]
    return AnalysisResult(1.0, "2,+1", {}, chromosomes, {**asdict(QUALITY), "flags": []})


@pytest.mark.parametrize("bad", [False, True])
def test_results_that_arrive_together_are_one_commit(laboratory: Laboratory, bad: bool) -> None:
    laboratory.add(laboratory.pipeline(), 3)
    with laboratory.sessions.begin() as session:
        claimed = [one for one, _ in queue.claim(session, 1, 9, 9)]
        leases = queue.lease(session, claimed, "w", 60)
        queue.begin_all(session, leases, shared=True)
    commits: list[Any] = []
    event.listen(laboratory.sessions.kw["bind"], "commit", commits.append)
    in_flight = InFlight()
    in_flight.add(leases)
    completer = Completer(retrying_transactions(laboratory.sessions, 5), in_flight, laboratory.settings)
    for leased, found in zip(leases, (result(0, 1), result(0, 0 if bad else 1), result(0, 1)), strict=True):
        completer.done(leased, found)
    completer.drain()
    assert [one.state for one in laboratory.analyses()] == ["done", "pending" if bad else "done", "done"]
    assert len(commits) == (3 if bad else 1)
    laboratory.assert_each_once()
    refused = [one.reason for one in laboratory.analyses() if one.reason]
    assert refused == (["unexpected_error"] if bad else [])
    assert not any(in_flight.is_valid(leased) for leased in leases)
    completer.close()
