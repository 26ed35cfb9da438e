"""The scheduler's loop.

It retries while the database or the broker is unavailable, and stops promptly.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from db.engine import make_engine, make_sessions
from db.notify import Listener
from scheduler.duties import Duties, Publisher
from scheduler.monitor import Monitor, monitored
from scheduler.reports import keep_reports_fresh
from settings import Settings
from telemetry.logs import configure, get_logger

log = get_logger("scheduler")

MAX_BACK_OFF_SECONDS = 15.0  # between two attempts to reach an unavailable service

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
    """Run all duties every ``poll_seconds``, and dispatch on each notification.

    Args:
        settings: of the scheduler.
        publisher: to the broker.
        stop: ends the loop when set.
        monitor: records the rounds.
    """
    url = str(settings.database_url)
    engine = make_engine(url, application_name="karyo-scheduler", pool_size=1)
    duties = Duties(settings, make_sessions(engine), publisher)
    monitor = monitor or Monitor()
    # Recovery comes first: it needs no broker, so it goes on while Redis is unavailable.
    all_duties = (duties.reap, duties.fire_schedules, duties.dispatch, duties.summarise)
    log.info("scheduler.started")
    try:
        with Listener(url, stop) as listener, keep_reports_fresh(settings, stop):
            while not stop.is_set():
                _run_round(stop, all_duties, monitor)
                due = time.monotonic() + settings.poll_seconds
                while listener.wait(due - time.monotonic()):
                    _run_round(stop, (duties.dispatch,), monitor)
    finally:
        engine.dispose()
        log.info("scheduler.stopped")


def _run_round(stop: threading.Event, duties: Iterable[Callable[[], None]], monitor: Monitor) -> None:
    """Run ``duties`` in turn; back off and repeat them while a service is unavailable."""

    def attempt() -> None:
        started = time.monotonic()
        for duty in duties:
            duty()
        monitor.round_completed(time.monotonic() - started)

    def report(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        monitor.round_failed(error)
        log.error("scheduler.round_failed", kind=type(error).__name__, problem=str(error), attempt=state.attempt_number)

    retrying = Retrying(
        retry=retry_if_exception_type((SQLAlchemyError, ConnectionError)),
        wait=wait_random_exponential(0.5, max=MAX_BACK_OFF_SECONDS),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=report,
        retry_error_callback=report,
    )
    retrying(attempt)
