"""Case summaries."""

from __future__ import annotations

from typing import Any

from db import queue


def finish_all(laboratory: Any) -> None:
    for leased in laboratory.leased(1000):
        laboratory.begin(leased)
        assert laboratory.finish(leased)


def stale(laboratory: Any, resend_seconds: float = 60.0) -> list[queue.StaleCase]:
    with laboratory.sessions.begin() as session:
        return queue.stale_cases(session, 10, resend_seconds)


def write(laboratory: Any, one: queue.StaleCase, iscn: str = "46,XX") -> bool:
    with laboratory.sessions.begin() as session:
        return queue.write_case(session, one, summary={"iscn": iscn}, artefacts={}, iscn=iscn, resolution="resolved")


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
    assert stale(laboratory) == []  # requested a moment ago
    assert stale(laboratory, resend_seconds=0) == [due]
    assert write(laboratory, due)
    assert stale(laboratory, resend_seconds=0) == []


def test_an_outdated_summary_is_not_written(laboratory: Any) -> None:
    pipeline = laboratory.pending(1)
    finish_all(laboratory)
    (outdated,) = stale(laboratory)
    laboratory.pending(1, pipeline_id=pipeline)
    finish_all(laboratory)
    assert not write(laboratory, outdated)
    (due,) = stale(laboratory)
    assert due.revision == outdated.revision + 1
    assert write(laboratory, due)


def test_each_pipeline_of_a_case_has_its_own_summary(laboratory: Any) -> None:
    first = laboratory.pending(1)
    finish_all(laboratory)
    second = laboratory.pending(1, pipeline_id=laboratory.pipeline("second"))
    assert [due.pipeline_id for due in stale(laboratory)] == [first]
    finish_all(laboratory)
    assert [due.pipeline_id for due in stale(laboratory)] == [second]


def test_concurrent_ends_of_one_case_do_not_deadlock(laboratory: Any) -> None:
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

    assert sum(laboratory.at_once(4, work)) == 24
    (due,) = stale(laboratory)
    assert due.revision == 24
