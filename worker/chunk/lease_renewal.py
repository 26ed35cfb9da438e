"""Lease renewal, and the watchdog that ends a process whose analyses make no progress.

Only the death of the process stops native code that hangs. The renewal thread ends the process after it has given the
images back with their reason. If the hanging code holds Python's lock, so that the thread cannot run, a timer of the
operating system ends the process.
"""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Sequence
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from db.queue import Leased
from telemetry.logs import get_logger
from telemetry.metrics import LEASES_LOST
from worker.chunk.in_flight import Entry, InFlight

log = get_logger("worker")

TIMER_FACTOR = 1.5  # delay of the timer, relative to ``stuck_seconds``


class LeaseRenewal:
    """Thread that renews the valid leases of a ledger, from the first lease on.

    Args:
        in_flight: the ledger, whose progress this object then follows.
        extend: extends leases in one transaction and returns the analysis ids that are still held.
        interval: seconds between two renewals, a fraction of the lease.
        stuck_seconds: time without progress after which the process is stuck.
        on_stuck: called once by the thread with every valid entry; ends the process.
    """

    def __init__(
        self,
        in_flight: InFlight,
        extend: Callable[[Sequence[Leased]], set[int]],
        interval: float,
        stuck_seconds: float,
        on_stuck: Callable[[Sequence[Entry]], None],
    ) -> None:
        self._in_flight = in_flight
        self._extend = extend
        self._interval = interval
        self._stuck_seconds = stuck_seconds
        self._on_stuck = on_stuck
        self._progress_at = monotonic()
        self._timer_set_at: float | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        in_flight.on_progress = self._note_progress

    def close(self) -> None:
        """Stop renewing."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _note_progress(self) -> None:
        with self._lock:
            self._progress_at = monotonic()
            if not self._in_flight.valid():
                faulthandler.cancel_dump_traceback_later()
                self._timer_set_at = None
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="lease-renewal", daemon=True)
                self._thread.start()
            self._set_timer()

    def _set_timer(self) -> None:
        """Postpone the end of the process; not at every step, because each call starts a thread."""
        set_at = self._timer_set_at
        if set_at is None or self._progress_at - set_at > self._stuck_seconds / 8:
            delay = TIMER_FACTOR * self._stuck_seconds + self._interval
            faulthandler.dump_traceback_later(delay, exit=True, file=2)
            self._timer_set_at = self._progress_at

    def _run(self) -> None:
        while not self._closing.wait(min(self._interval, self._stuck_seconds / 2)):
            entries = self._in_flight.valid()
            with self._lock:
                still = monotonic() - self._progress_at
            if entries and still > self._stuck_seconds:
                self._on_stuck(entries)
                return
            if entries:
                self._renew([entry.leased for entry in entries])

    def _renew(self, leases: Sequence[Leased]) -> None:
        try:
            held = self._extend(leases)
        except SQLAlchemyError as problem:
            # The fencing token protects the results; the next renewal may succeed before the leases expire.
            log.warning("lease.renewal_failed", problem=str(problem))
            return
        for leased in self._in_flight.invalidate(leases, held):
            LEASES_LOST.labels("heartbeat").inc()
            log.warning("lease.lost", noticed="heartbeat", analysis=leased.analysis_id, image=leased.image_id)
