"""Refresh of the large reports in a thread, so that the scheduler's rounds do not wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from db.engine import make_engine, make_sessions
from db.report_refresh import refresh_reports
from settings import Settings
from telemetry.logs import get_logger

log = get_logger("scheduler")

MAX_PAUSE_SECONDS = 60.0  # s between two looks at the age of the reports


@contextmanager
def keep_reports_fresh(settings: Settings, stop: threading.Event) -> Iterator[None]:
    """Refresh reports older than ``report_seconds`` in a thread during the block.

    The thread ends with the process: it leaves a refresh that has not ended to the database.

    Args:
        settings: of the scheduler.
        stop: ends the thread when set.
    """
    thread = threading.Thread(target=_run, args=(settings, stop), name="reports", daemon=True)
    thread.start()
    yield


def _run(settings: Settings, stop: threading.Event) -> None:
    engine = make_engine(str(settings.database_url), application_name="karyo-scheduler-reports", pooled=False)
    sessions = make_sessions(engine)
    while not stop.wait(min(settings.report_seconds, MAX_PAUSE_SECONDS)):
        try:
            refreshed = refresh_reports(sessions, settings.report_seconds)
        except SQLAlchemyError as error:
            log.warning("scheduler.reports_failed", kind=type(error).__name__, problem=str(error))
        else:
            if refreshed:
                log.info("scheduler.reports_refreshed", seconds={name: round(took, 2) for name, took in refreshed})
