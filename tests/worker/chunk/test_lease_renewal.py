"""Leases are renewed, lost ones are noticed, and a process without progress is reported."""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep

import pytest
from sqlalchemy.exc import OperationalError

from db.queue import Leased
from tests.support.leases import make_lease
from worker.chunk.in_flight import Entry, InFlight, Step
from worker.chunk.lease_renewal import LeaseRenewal


@contextmanager
def renewed(
    extend: Callable[[Sequence[Leased]], set[int]],
    stuck_seconds: float = 60,
    on_stuck: Callable[[Sequence[Entry]], None] = lambda _: None,
) -> Iterator[InFlight]:
    in_flight = InFlight()
    renewal = LeaseRenewal(in_flight, extend, 0.01, stuck_seconds, on_stuck)
    try:
        yield in_flight
    finally:
        renewal.close()


def test_a_lost_lease_is_noticed() -> None:
    with renewed(lambda leases: {1}) as in_flight:
        in_flight.add([make_lease(1), make_lease(2)])
        while in_flight.is_valid(make_lease(2)):
            pass
        assert in_flight.is_valid(make_lease(1))


def test_an_outage_of_the_database_loses_no_lease() -> None:
    renewals = threading.Semaphore(0)

    def extend(leases: Sequence[Leased]) -> set[int]:
        renewals.release()
        raise OperationalError("UPDATE", {}, Exception("away"))

    with renewed(extend) as in_flight:
        in_flight.add([make_lease(1)])
        assert renewals.acquire(timeout=5)
        assert renewals.acquire(timeout=5)
        assert in_flight.is_valid(make_lease(1))


def test_the_timer_that_ends_a_hanging_process_is_not_set_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    set_at: list[float] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda delay, **_: set_at.append(monotonic()))
    with renewed(lambda leases: {1}, stuck_seconds=0.8) as in_flight:
        in_flight.add([make_lease(1)])
        until = monotonic() + 1
        while monotonic() < until:
            in_flight.advance(make_lease(1), Step.DECODED)
        assert 2 <= len(set_at) <= 11
        in_flight.remove(make_lease(1))
        before = len(set_at)
        in_flight.add([make_lease(1)])  # after an idle time the timer is set at once
        assert len(set_at) == before + 1


def test_a_removed_lease_is_not_renewed() -> None:
    extended: list[set[int]] = []

    def extend(leases: Sequence[Leased]) -> set[int]:
        extended.append({lease.analysis_id for lease in leases})
        return extended[-1]

    with renewed(extend) as in_flight:
        in_flight.add([make_lease(1), make_lease(2)])
        in_flight.remove(make_lease(1))
        before = len(extended) + 1
        while len(extended) <= before:
            pass
        assert extended[-1] == {2}


def test_work_without_progress_is_reported_once_and_idleness_is_not() -> None:
    stuck: list[set[int]] = []
    reported = threading.Event()

    def report(entries: Sequence[Entry]) -> None:
        stuck.append({entry.leased.analysis_id for entry in entries})
        reported.set()

    with renewed(lambda leases: {one.analysis_id for one in leases}, 0.2, report) as in_flight:
        in_flight.add([make_lease(1)])
        in_flight.remove(make_lease(1))
        sleep(0.3)  # idle
        in_flight.add([make_lease(2), make_lease(3)])
        for _ in range(6):
            sleep(0.05)
            in_flight.advance(make_lease(2), Step.DECODED)
        assert not stuck
        assert reported.wait(5)
    assert stuck == [{2, 3}]
