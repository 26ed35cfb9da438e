"""Ledger of the analyses that a process holds, each from its lease to its completion.

Everything that a process has to know of its leases is recorded here, and nowhere else: which ones to renew, how many
pixels are in memory, which analyses to give back, and which one to blame if the process makes no progress.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from uuid import UUID

from db.queue import Leased

MAX_PIXELS = 48_000_000  # pixels in memory at once; images differ in size by a factor of a thousand
MAX_IMAGES = 32  # images in memory at once


class Step(Enum):
    """Progress of an analysis within this process."""

    LEASED = auto()
    """Nothing of the image is in memory yet."""
    FETCHING = auto()
    """Memory is reserved for the image."""
    DECODED = auto()
    """The pixels are in memory; the pipeline has not finished with them."""
    WRITING = auto()
    """Drawn and stored by the writer."""
    COMPLETING = auto()
    """Its artefacts are stored; its rows wait for their commit."""


UNWRITTEN = (Step.LEASED, Step.FETCHING, Step.DECODED)


@dataclass(slots=True)
class Entry:
    """One lease."""

    leased: Leased
    step: Step = Step.LEASED
    lease_valid: bool = True
    """False once a renewal has found the lease lost."""
    exclusive: bool = False
    """Whether its attempt began with no other image in the process, which makes it the only suspect."""


class InFlight:
    """Leases of one process, by their tokens. Safe to share between threads.

    Args:
        max_pixels: bound on the pixels in memory.
        max_images: bound on the images in memory.
    """

    def __init__(self, max_pixels: int = MAX_PIXELS, max_images: int = MAX_IMAGES) -> None:
        self._max_pixels, self._max_images = max_pixels, max_images
        self._entries: dict[UUID, Entry] = {}
        self._changed = threading.Condition()
        self.on_progress: Callable[[], None] = lambda: None
        """Called after every step of an analysis, outside the lock."""

    def add(self, leases: Sequence[Leased]) -> None:
        """Record new leases."""
        with self._changed:
            self._entries |= {leased.token: Entry(leased) for leased in leases}
        self.on_progress()

    def reserve(self, leased: Leased) -> bool:
        """Reserve memory for an image; the largest image fits when no other is in memory.

        Returns:
            False if there is no room now.
        """
        with self._changed:
            pixels = [entry.leased.pixels for entry in self._in_memory()]
            if pixels and (sum(pixels) + leased.pixels > self._max_pixels or len(pixels) >= self._max_images):
                return False
            self._entries[leased.token].step = Step.FETCHING
            return True

    def reserve_exclusively(self, leased: Leased) -> None:
        """Reserve memory for the only image that is analysed until its analysis has ended."""
        with self._changed:
            entry = self._entries[leased.token]
            entry.step, entry.exclusive = Step.FETCHING, True

    def advance(self, leased: Leased, step: Step) -> None:
        """Record that an analysis has reached ``step``, if it has not ended yet."""
        with self._changed:
            if entry := self._entries.get(leased.token):
                entry.step = step
                self._changed.notify_all()
        self.on_progress()

    def remove(self, leased: Leased) -> None:
        """Release a lease: it is not renewed any more, and its memory is free."""
        with self._changed:
            self._entries.pop(leased.token, None)
            self._changed.notify_all()
        self.on_progress()

    def remove_unwritten(self) -> list[Leased]:
        """Release every lease that has not reached the writer.

        Returns:
            Those that are still valid.
        """
        with self._changed:
            unwritten = [entry for entry in self._entries.values() if entry.step in UNWRITTEN]
        for entry in unwritten:
            self.remove(entry.leased)
        return [entry.leased for entry in unwritten if entry.lease_valid]

    def is_valid(self, leased: Leased) -> bool:
        """Return whether this process holds a lease that is not known to be lost."""
        with self._changed:
            entry = self._entries.get(leased.token)
            return entry is not None and entry.lease_valid

    def valid(self) -> list[Entry]:
        """Return the entries whose leases are not known to be lost."""
        with self._changed:
            return [entry for entry in self._entries.values() if entry.lease_valid]

    def invalidate(self, leases: Sequence[Leased], held: set[int]) -> list[Leased]:
        """Mark leases as lost.

        Args:
            leases: that were to be renewed.
            held: analyses whose renewal succeeded.

        Returns:
            The leases that are newly known to be lost.
        """
        lost = []
        with self._changed:
            for leased in leases:
                entry = self._entries.get(leased.token)
                if entry and entry.lease_valid and leased.analysis_id not in held:
                    entry.lease_valid = False
                    lost.append(leased)
        return lost

    def wait_for_room(self, seconds: float) -> None:
        """Return when an entry has changed, after ``seconds``, or at once if memory is empty."""
        with self._changed:
            if self._in_memory():
                self._changed.wait(seconds)

    def wait_until_stored(self) -> None:
        """Return when no analysis is at the step ``WRITING``."""
        with self._changed:
            self._changed.wait_for(lambda: all(entry.step is not Step.WRITING for entry in self._entries.values()))

    def _in_memory(self) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.step is not Step.LEASED]
