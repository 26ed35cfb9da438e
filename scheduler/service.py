"""The scheduler's loop. It outlasts outages of database and broker and leaves promptly when told to."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from db.engine import make_engine, make_sessions
from db.notify import Bell
from scheduler.duties import Duties, Publisher
from scheduler.monitor import Monitor, monitored
from settings import Settings
from telemetry.logs import configure

log = logging.getLogger("scheduler")

OUTAGE_PAUSE = 15.0
"""Longest pause, in seconds, between attempts to reach a service that is away."""

__all__ = ["Publisher", "main", "run"]


def main(settings: Settings, publisher: Publisher) -> None:
    """Run a scheduler in the foreground until SIGTERM or Ctrl-C."""
    configure(settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with monitored(settings) as monitor:
        run(settings, publisher, stop, monitor)


def run(settings: Settings, publisher: Publisher, stop: threading.Event, monitor: Monitor | None = None) -> None:
    """Do every duty about every ``poll_seconds``, and dispatch whenever the database rings, until ``stop`` is set."""
    url = str(settings.database_url)
    engine = make_engine(url, application_name="karyo-scheduler", pool_size=1)
    duties = Duties(settings, make_sessions(engine), publisher)
    monitor = monitor or Monitor()
    # Recovery comes first and needs no broker: an outage of Redis does not keep it from being done.
    everything = (duties.reap, duties.fire_schedules, duties.dispatch, duties.summarise)
    log.info("scheduler started")
    try:
        with Bell(url, stop) as bell:
            while not stop.is_set():
                _persist(stop, everything, monitor)
                due = time.monotonic() + settings.poll_seconds
                while bell.wait(due - time.monotonic()):
                    _persist(stop, (duties.dispatch,), monitor)
    finally:
        engine.dispose()
        log.info("scheduler left")


def _persist(stop: threading.Event, duties: Iterable[Callable[[], None]], monitor: Monitor) -> None:
    """One round of ``duties``, started over with growing pauses while a service is away."""

    def round_of_duties() -> None:
        began = time.monotonic()
        for duty in duties:
            duty()
        monitor.round_done(time.monotonic() - began)

    def report(state: RetryCallState) -> None:
        problem = state.outcome.exception() if state.outcome else None
        monitor.round_failed(problem)
        kind, attempt = type(problem).__name__, state.attempt_number
        log.error("a round failed", extra={"kind": kind, "problem": str(problem), "attempt": attempt})

    retrying = Retrying(
        retry=retry_if_exception_type((SQLAlchemyError, ConnectionError)),
        wait=wait_random_exponential(0.5, max=OUTAGE_PAUSE),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=report,
        retry_error_callback=report,
    )
    retrying(round_of_duties)
