"""How much a process holds in memory at once: pixels, as images differ by a factor of a thousand."""

from __future__ import annotations

import threading

from db.queue import Leased

PIXELS = 48_000_000
"""In hand at once, from the fetch of an image until its rows are written."""
IMAGES = 32


class Budget:
    """Counts what is in hand. Safe to share between threads."""

    def __init__(self, pixels: int = PIXELS, images: int = IMAGES) -> None:
        self._pixels, self._images = pixels, images
        self._taken: dict[int, int] = {}
        self._changed = threading.Condition()

    def take(self, leased: Leased) -> bool:
        """Make room for an image; False if there is none. The largest image fits when nothing else is in hand."""
        with self._changed:
            pixels = sum(self._taken.values()) + leased.pixels
            if self._taken and (pixels > self._pixels or len(self._taken) >= self._images):
                return False
            self._taken[leased.analysis_id] = leased.pixels
            return True

    def give(self, leased: Leased) -> None:
        """Note that an image has left the memory."""
        with self._changed:
            self._taken.pop(leased.analysis_id, None)
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Return when something has left, or after a while."""
        with self._changed:
            if self._taken:
                self._changed.wait(seconds)
