"""What an operator sees."""

from __future__ import annotations

from typing import Any

from db import queue


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
