"""Leases are extended while there is work, lost ones are noticed, work that makes no progress is reported."""

from __future__ import annotations

import faulthandler
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

import pytest
from sqlalchemy.exc import OperationalError

from db.queue import Leased
from worker.chunk.lease_renewal import Heartbeat


def leased(number: int) -> Leased:
    return Leased(number, number, 1, "key", f"{number}.png", "C-1", uuid.uuid4(), 0, 4096, False)


@contextmanager
def beating(
    extend: Callable[[Sequence[Leased]], set[int]],
    patience: float = 60,
    on_stuck: Callable[[Sequence[Leased]], None] = lambda _: None,
) -> Iterator[Heartbeat]:
    heart = Heartbeat(extend, 0.01, patience, on_stuck)
    try:
        yield heart
    finally:
        heart.close()


def test_a_lost_lease_is_noticed() -> None:
    with beating(lambda leases: {1}) as heart:
        heart.hold([leased(1), leased(2)])
        while heart.holds(leased(2)):
            pass
        assert heart.holds(leased(1))


def test_an_outage_of_the_database_is_survived() -> None:
    beats = threading.Semaphore(0)

    def extend(leases: Sequence[Leased]) -> set[int]:
        beats.release()
        raise OperationalError("UPDATE", {}, Exception("away"))

    with beating(extend) as heart:
        heart.hold([leased(1)])
        assert beats.acquire(timeout=5)
        assert beats.acquire(timeout=5)
        assert heart.holds(leased(1))


def test_the_timer_that_ends_a_hanging_process_is_not_set_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    set_at: list[float] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda delay, **_: set_at.append(monotonic()))
    with beating(lambda leases: {1}, patience=0.8) as heart:
        heart.hold([leased(1)])
        until = monotonic() + 1
        while monotonic() < until:
            heart.progress()
        assert 2 <= len(set_at) <= 11
        heart.drop(leased(1))
        before = len(set_at)
        heart.hold([leased(1)])  # what comes after a rest has a timer of its own
        assert len(set_at) == before + 1


def test_what_is_dropped_is_extended_no_more() -> None:
    extended: list[set[int]] = []

    def extend(leases: Sequence[Leased]) -> set[int]:
        extended.append({lease.analysis_id for lease in leases})
        return extended[-1]

    with beating(extend) as heart:
        heart.hold([leased(1), leased(2)])
        heart.drop(leased(1))
        before = len(extended) + 1
        while len(extended) <= before:
            pass
        assert extended[-1] == {2}


def test_work_without_progress_is_reported_once_and_idleness_is_not() -> None:
    stuck: list[set[int]] = []
    told = threading.Event()

    def report(leases: Sequence[Leased]) -> None:
        stuck.append({lease.analysis_id for lease in leases})
        told.set()

    with beating(lambda leases: {one.analysis_id for one in leases}, 0.2, report) as heart:
        heart.hold([leased(1)])
        heart.drop(leased(1))
        sleep(0.3)  # idle
        heart.hold([leased(2), leased(3)])
        for _ in range(6):
            sleep(0.05)
            heart.progress()
        assert not stuck
        assert told.wait(5)
    assert stuck == [{2, 3}]
