"""The ledger bounds memory, and knows which leases are valid, unwritten or exclusive."""

from __future__ import annotations

import threading
from time import monotonic

from tests.support.leases import make_lease
from worker.chunk.in_flight import InFlight, Step


def ledger(*numbers_and_pixels: tuple[int, int], max_pixels: int = 10, max_images: int = 3) -> InFlight:
    in_flight = InFlight(max_pixels, max_images)
    in_flight.add([make_lease(number, pixels) for number, pixels in numbers_and_pixels])
    return in_flight


def test_memory_is_bounded_in_pixels_and_in_images() -> None:
    in_flight = ledger((1, 6), (2, 5), (3, 4), (4, 1), (5, 1), (6, 1))
    assert in_flight.reserve(make_lease(1, 6))
    assert not in_flight.reserve(make_lease(2, 5))
    assert in_flight.reserve(make_lease(3, 4))
    in_flight.remove(make_lease(1))
    assert in_flight.reserve(make_lease(4, 1))
    assert in_flight.reserve(make_lease(5, 1))
    assert not in_flight.reserve(make_lease(6, 1))  # the fourth


def test_an_image_larger_than_the_bound_is_reserved_when_memory_is_empty() -> None:
    in_flight = ledger((1, 1), (2, 11), (3, 1))
    assert in_flight.reserve(make_lease(1, 1))
    assert not in_flight.reserve(make_lease(2, 11))
    in_flight.remove(make_lease(1))
    in_flight.remove(make_lease(1))  # a second removal frees no more memory
    assert in_flight.reserve(make_lease(2, 11))
    assert not in_flight.reserve(make_lease(3, 1))


def test_an_image_counts_until_its_analysis_is_completed() -> None:
    in_flight = ledger((1, 6), (2, 6))
    assert in_flight.reserve(make_lease(1, 6))
    for step in (Step.DECODED, Step.WRITING, Step.COMPLETING):
        in_flight.advance(make_lease(1), step)
        assert not in_flight.reserve(make_lease(2, 6))
    in_flight.remove(make_lease(1))
    assert in_flight.reserve(make_lease(2, 6))


def test_waiting_for_room_ends_when_an_image_leaves() -> None:
    in_flight = ledger((1, 1), max_pixels=1, max_images=1)
    in_flight.reserve(make_lease(1, 1))
    threading.Timer(0.05, in_flight.remove, [make_lease(1)]).start()
    began = monotonic()
    in_flight.wait_for_room(20)
    assert monotonic() - began < 10
    in_flight.wait_for_room(20)  # memory is empty
    assert monotonic() - began < 10


def test_waiting_until_stored_ends_when_the_writer_has_passed_its_last_image_on() -> None:
    in_flight = ledger((1, 1), (2, 1), (3, 1))
    for number in (1, 2):
        in_flight.advance(make_lease(number), Step.WRITING)
    threading.Timer(0.05, in_flight.remove, [make_lease(1)]).start()
    threading.Timer(0.1, in_flight.advance, [make_lease(2), Step.COMPLETING]).start()
    began = monotonic()
    in_flight.wait_until_stored()
    assert 0.09 < monotonic() - began < 10


def test_a_lost_lease_is_reported_once_and_keeps_its_memory_until_its_removal() -> None:
    in_flight = ledger((1, 6), (2, 6))
    leases = [make_lease(1, 6), make_lease(2, 6)]
    assert in_flight.reserve(leases[0])
    assert in_flight.invalidate(leases, {2}) == leases[:1]
    assert in_flight.invalidate(leases, {2}) == []
    assert [in_flight.is_valid(lease) for lease in leases] == [False, True]
    assert [entry.leased for entry in in_flight.valid()] == leases[1:]
    assert not in_flight.reserve(leases[1])


def test_only_valid_leases_that_the_writer_has_not_received_are_given_back() -> None:
    in_flight = ledger(*((number, 1) for number in range(5)), max_images=9)
    leases = [make_lease(number, 1) for number in range(5)]
    in_flight.reserve(leases[1])
    in_flight.advance(leases[2], Step.DECODED)
    in_flight.advance(leases[3], Step.WRITING)
    in_flight.invalidate(leases[:1], set())
    in_flight.invalidate(leases[4:], set())
    assert in_flight.remove_unwritten() == leases[1:3]
    assert [entry.leased for entry in in_flight.valid()] == leases[3:4]
    assert in_flight.remove_unwritten() == []


def test_an_exclusive_image_is_the_only_one_to_blame() -> None:
    in_flight = ledger((1, 9), (2, 9))
    assert in_flight.reserve(make_lease(1, 9))
    in_flight.reserve_exclusively(make_lease(2, 9))
    assert [(entry.leased.analysis_id, entry.exclusive) for entry in in_flight.valid()] == [(1, False), (2, True)]


def test_every_step_is_progress() -> None:
    in_flight = ledger()
    steps: list[int] = []
    in_flight.on_progress = lambda: steps.append(len(in_flight.valid()))
    in_flight.add([make_lease(1), make_lease(2)])
    in_flight.advance(make_lease(1), Step.DECODED)
    in_flight.remove(make_lease(1))
    in_flight.remove_unwritten()
    assert steps == [2, 2, 1, 0]


def test_a_new_lease_of_the_same_analysis_is_another_entry() -> None:
    first = make_lease(1)
    second = type(first)(1, 1, 1, "key", "1.png", "C-1", make_lease(2).token, 1, 4096, suspect=True)
    in_flight = InFlight()
    in_flight.add([first])
    in_flight.add([second])
    in_flight.remove(first)
    assert in_flight.is_valid(second)
