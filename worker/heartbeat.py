"""Keeps the leases of a chunk alive while the main thread works, and gives up on an image that never ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import Self

from sqlalchemy.exc import SQLAlchemyError

from db.queue import Leased
from telemetry.metrics import LEASES_LOST

log = logging.getLogger("worker")


class Heartbeat:
    """Extends leases from a thread of its own; a context manager.

    Args:
        leases: what this chunk holds.
        extend: extends the given leases in one transaction; returns the analysis ids that are still held.
        interval: seconds between beats, a fraction of the lease.
        image_seconds: how long one image may take.
        on_stuck: called, in the thread, with the lease of an image that took longer.
    """

    def __init__(
        self,
        leases: Sequence[Leased],
        extend: Callable[[Sequence[Leased]], set[int]],
        interval: float,
        image_seconds: float,
        on_stuck: Callable[[Leased], None],
    ) -> None:
        self._leases = {leased.analysis_id: leased for leased in leases}
        self._extend = extend
        self._interval = interval
        self._image_seconds = image_seconds
        self._on_stuck = on_stuck
        self._in_hand: tuple[Leased, float] | None = None
        self._lock = threading.Lock()
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()

    def take(self, leased: Leased) -> bool:
        """Note that the work on ``leased`` starts now; False if its lease is known to be lost."""
        with self._lock:
            if leased.analysis_id not in self._leases:
                return False
            self._in_hand = (leased, monotonic())
            return True

    def drop(self, leased: Leased) -> None:
        """Note that nothing more is to be done for ``leased``."""
        with self._lock:
            self._in_hand = None
            self._leases.pop(leased.analysis_id, None)

    def _beat(self) -> None:
        while not self._leaving.wait(self._interval):
            with self._lock:
                in_hand, leases = self._in_hand, list(self._leases.values())
            if in_hand and monotonic() - in_hand[1] > self._image_seconds:
                self._on_stuck(in_hand[0])
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
                if leased.analysis_id not in held and leased.analysis_id in self._leases:
                    del self._leases[leased.analysis_id]
                    LEASES_LOST.labels("heartbeat").inc()
                    log.warning("lease lost", extra={"analysis": leased.analysis_id, "image": leased.image_id})
