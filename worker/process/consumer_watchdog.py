"""A worker that has fallen silent: idle, alive by every sign, and yet it takes no message although some lie waiting.

A connection that was cut without a word can leave a consumer so. No sign of life tells it from one that has nothing to
do; only the queue does. The process then ends, and whatever supervises it starts another.
"""

from __future__ import annotations

import logging
import os
import threading
from time import monotonic

from celery import Celery
from celery.worker import state

from worker.celery_app import QUEUE

log = logging.getLogger("worker")

EXIT_STATUS = 70
"""``EX_SOFTWARE`` of sysexits.h."""


class SilenceWatch:
    """Watches the consumer of this process from a thread, over a connection of its own for every look.

    Args:
        app: the application whose queue is consumed.
        patience: seconds of silence after which the process ends.
    """

    def __init__(self, app: Celery, patience: float) -> None:
        self._app = app
        self._patience = patience
        self._leaving = threading.Event()
        self._taken = 0

    def start(self) -> None:
        """Watch from now on."""
        threading.Thread(target=self._watch, name="silence", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer: a worker that leaves takes no messages, and rightly so."""
        self._leaving.set()

    def _watch(self) -> None:
        since: float | None = None
        while not self._leaving.wait(self._patience / 6):
            since = (since or monotonic()) if self._is_silent() else None
            if since and monotonic() - since > self._patience:
                log.critical("idle for too long while messages wait, leaving", extra={"seconds": self._patience})
                os._exit(EXIT_STATUS)

    def _is_silent(self) -> bool:
        before, self._taken = self._taken, sum(state.total_count.values())
        idle = self._taken == before and not state.active_requests and not state.reserved_requests
        return idle and self._waiting() > 0

    def _waiting(self) -> int:
        """Messages that nobody has taken; none if the broker cannot be asked, as that is no fault of the consumer."""
        with self._app.connection_for_read() as connection:
            try:
                return int(connection.default_channel.queue_declare(QUEUE, passive=True).message_count)
            except (*connection.connection_errors, *connection.channel_errors):
                return 0
