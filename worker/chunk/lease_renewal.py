"""Keeps the leases in hand alive, and ends a process that makes no progress with them.

Nothing less than the death of the process stops native code that hangs. The thread of the heartbeat sees to it, so that
the images are given back with their reason; should it be held up too, because what hangs keeps Python's lock, a timer
of the operating system ends the process without it.
"""

from __future__ import annotations

import faulthandler
import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from db.queue import Leased
from telemetry.metrics import LEASES_LOST

log = logging.getLogger("worker")

_BACKSTOP = 1.5
"""Patience of the timer, relative to that of the heartbeat."""


class Heartbeat:
    """Extends leases from a thread of its own, from the first that it holds.

    Args:
        extend: extends the given leases in one transaction; returns the analysis ids that are still held.
        interval: seconds between beats, a fraction of the lease.
        patience: seconds without progress after which work in hand is taken to hang.
        on_stuck: called once, in the thread, with everything in hand, and ends the process.
    """

    def __init__(
        self,
        extend: Callable[[Sequence[Leased]], set[int]],
        interval: float,
        patience: float,
        on_stuck: Callable[[Sequence[Leased]], None],
    ) -> None:
        self._extend = extend
        self._interval = interval
        self._patience = patience
        self._on_stuck = on_stuck
        self._leases: dict[int, Leased] = {}
        self._moved = monotonic()
        self._timed: float | None = None
        """When the timer was last set."""
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, leases: Sequence[Leased]) -> None:
        """Keep these leases alive too."""
        with self._lock:
            self._leases |= {leased.analysis_id: leased for leased in leases}
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
                self._thread.start()
        self.progress()

    def holds(self, leased: Leased) -> bool:
        """Whether an image is in hand and its lease not known to be lost."""
        with self._lock:
            return leased.analysis_id in self._leases

    def progress(self) -> None:
        """Note that an image has come a step further."""
        with self._lock:
            self._moved = monotonic()
            if not self._leases:
                faulthandler.cancel_dump_traceback_later()
                self._timed = None
            elif self._timed is None or self._moved - self._timed > self._patience / 8:  # it costs a thread each time
                delay = _BACKSTOP * self._patience + self._interval
                faulthandler.dump_traceback_later(delay, exit=True, file=2)
                self._timed = self._moved

    def drop(self, leased: Leased) -> None:
        """Note that nothing more is to be done for ``leased``."""
        with self._lock:
            self._leases.pop(leased.analysis_id, None)
        self.progress()

    def close(self) -> None:
        """Stop beating."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _beat(self) -> None:
        while not self._closing.wait(min(self._interval, self._patience / 2)):
            with self._lock:
                leases, still = list(self._leases.values()), monotonic() - self._moved
            if leases and still > self._patience:
                self._on_stuck(leases)
                return
            if leases:
                self._extend_once(leases)

    def _extend_once(self, leases: Sequence[Leased]) -> None:
        try:
            held = self._extend(leases)
        except SQLAlchemyError as problem:
            # The fencing token protects the results; the next beat may come through before the leases expire.
            log.warning("leases not extended", extra={"problem": str(problem)})
            return
        with self._lock:
            for leased in leases:
                if leased.analysis_id in self._leases.keys() - held:
                    del self._leases[leased.analysis_id]
                    LEASES_LOST.labels("heartbeat").inc()
                    log.warning("lease lost", extra={"analysis": leased.analysis_id, "image": leased.image_id})
