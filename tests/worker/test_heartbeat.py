"""Leases are extended while there is work, lost ones are noticed, hanging images reported."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError

from db.queue import Leased
from worker.heartbeat import Heartbeat


def leased(number: int) -> Leased:
    return Leased(number, number, 1, "key", f"{number}.png", "C-1", uuid.uuid4(), 0, 4096, False)


def test_a_lost_lease_is_not_taken_up() -> None:
    beaten = threading.Event()

    def extend(leases: Sequence[Leased]) -> set[int]:
        beaten.set()
        return {1}

    with Heartbeat([leased(1), leased(2)], extend, 0.01, 60, lambda _: None) as heart:
        assert beaten.wait(5)
        assert heart.take(leased(1))
        while heart.take(leased(2)):
            pass
        assert heart.take(leased(1))


def test_an_outage_of_the_database_is_survived() -> None:
    beats = threading.Semaphore(0)

    def extend(leases: Sequence[Leased]) -> set[int]:
        beats.release()
        raise OperationalError("UPDATE", {}, Exception("away"))

    with Heartbeat([leased(1)], extend, 0.01, 60, lambda _: None) as heart:
        assert beats.acquire(timeout=5)
        assert beats.acquire(timeout=5)
        assert heart.take(leased(1))


def test_an_image_that_hangs_is_reported_and_one_that_ended_is_not() -> None:
    stuck: list[int] = []
    told = threading.Event()

    def report(lease: Leased) -> None:
        stuck.append(lease.analysis_id)
        told.set()

    with Heartbeat([leased(1), leased(2)], lambda leases: {1, 2}, 0.01, 0.1, report) as heart:
        heart.take(leased(1))
        heart.drop(leased(1))
        heart.take(leased(2))
        assert told.wait(5)
    assert set(stuck) == {2}
