"""Watchdog of the consumer: ends an idle worker that takes no message while messages wait.

A connection that was cut silently can leave a consumer in this state. It does not differ from an idle consumer except
by the queue. The process ends, and its supervisor starts another.
"""

from __future__ import annotations

import os
import threading
from time import monotonic

from celery import Celery
from celery.worker import state

from telemetry.logs import get_logger
from worker.celery_app import QUEUE

log = get_logger("worker")

EXIT_STATUS = 70  # ``EX_SOFTWARE`` of sysexits.h


class ConsumerWatchdog:
    """Thread that watches the consumer of this process over connections of its own.

    Args:
        app: the application whose queue is consumed.
        silent_seconds: time after which an idle consumer ends the process while messages wait.
    """

    def __init__(self, app: Celery, silent_seconds: float) -> None:
        self._app = app
        self._silent_seconds = silent_seconds
        self._stopped = threading.Event()
        self._taken = 0

    def start(self) -> None:
        """Watch the consumer from now on."""
        threading.Thread(target=self._run, name="consumer-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching: a worker that leaves takes no more messages."""
        self._stopped.set()

    def _run(self) -> None:
        since: float | None = None
        while not self._stopped.wait(self._silent_seconds / 6):
            since = (since or monotonic()) if self._is_silent() else None
            if since and monotonic() - since > self._silent_seconds:
                log.critical("worker.consumer_silent", seconds=self._silent_seconds)
                os._exit(EXIT_STATUS)

    def _is_silent(self) -> bool:
        before, self._taken = self._taken, sum(state.total_count.values())
        idle = self._taken == before and not state.active_requests and not state.reserved_requests
        return idle and self._waiting() > 0

    def _waiting(self) -> int:
        """Return the number of messages in the queue; 0 during an outage of the broker."""
        with self._app.connection_for_read() as connection:
            try:
                return int(connection.default_channel.queue_declare(QUEUE, passive=True).message_count)
            except (*connection.connection_errors, *connection.channel_errors):
                return 0
