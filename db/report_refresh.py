"""Refresh of the materialised reports, while others read them."""

from __future__ import annotations

import time
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from db.clock import interval
from db.engine import SessionFactory
from db.schema import ReportRefresh

LOCK_KEY = 0x7265706F727473  # "reports"
TIMEOUT = "30min"  # of one refresh, and of the wait for another process's
MATERIALISED = (
    "throughput",
    "throughput_daily",
    "case_runs",
    "model_drift",
    "qc_drift",
    "reviewer_edits",
    "class_edits",
    "turnaround",
)
"""Materialised views; each reads only those before it."""


class Refresh(NamedTuple):
    """A refreshed view and its cost."""

    name: str
    seconds: float


def refresh_reports(sessions: SessionFactory, max_age_seconds: float = 0.0, *, waits: bool = False) -> list[Refresh]:
    """Refresh the materialised views that are older than ``max_age_seconds``.

    Each has a transaction of its own.

    Args:
        sessions: on the database, with the rights of the owner of the views.
        max_age_seconds: age from which a view is refreshed, s.
        waits: whether to wait while another process refreshes, so that all views have the present data in the end;
            otherwise what another one refreshes is left to it.

    Returns:
        The views that were refreshed, in order.
    """
    done = []
    for name in MATERIALISED:
        started = time.monotonic()
        with sessions.begin() as session:
            if _take(session, name, max_age_seconds, waits):
                session.execute(text(f"REFRESH MATERIALIZED VIEW CONCURRENTLY reporting.{name}"))
                done.append(Refresh(name, time.monotonic() - started))
    return done


def _take(session: Session, name: str, max_age_seconds: float, waits: bool) -> bool:
    """Return whether this transaction is to refresh the view, and record its time."""
    for setting in ("statement_timeout", "lock_timeout"):
        session.execute(text(f"SET LOCAL {setting} = '{TIMEOUT}'"))
    if waits:
        session.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))
    elif not session.scalar(select(func.pg_try_advisory_xact_lock(LOCK_KEY))):
        return False
    refresh = session.get_one(ReportRefresh, name)
    if session.scalar(select(func.now() - interval(max_age_seconds) < refresh.refreshed_at)):
        return False
    refresh.refreshed_at = func.now()
    return True
