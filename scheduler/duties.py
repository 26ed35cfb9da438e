"""The scheduler's duties. Each is one look at the database; any number of schedulers may do them at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Protocol

from sqlalchemy import select

from db import queue, schedules
from db.engine import SessionFactory
from db.schema import Analysis
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics

log = logging.getLogger("scheduler")

CASES_AT_ONCE = 50


class Publisher(Protocol):
    """Puts ids on the broker. Every method raises ``ConnectionError`` if the broker cannot be reached."""

    def publish_chunk(self, ids: Sequence[int], priority: int) -> None:
        """Ask for the analyses ``ids``; lower priority runs first."""

    def publish_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        """Ask for the summary of a case."""


class Duties:
    """What a scheduler does, again and again."""

    def __init__(self, settings: Settings, sessions: SessionFactory, publisher: Publisher) -> None:
        self._settings = settings
        self._sessions = sessions
        self._publisher = publisher

    def reap(self) -> None:
        """Bring back what a dead worker or a lost message left behind."""
        with self._sessions.begin() as session:
            report = queue.reap(session, self._settings.max_attempts, self._settings.queued_timeout_seconds)
        if report.expired or report.quarantined or report.unanswered:
            metrics.recovered(asdict(report))
            log.warning("recovered lost work", extra=asdict(report))

    def dispatch(self) -> None:
        """Hand pending analyses to the broker, as many as it should hold, in chunks of one pipeline and priority.

        What cannot be published is pending again at once; what is lost between commit and publishing, after
        ``queued_timeout_seconds``.

        Raises:
            ConnectionError: the broker cannot be reached.
        """
        with self._sessions.begin() as session:
            ids = queue.claim(session, self._settings.max_queued, self._settings.max_queued)
            columns = select(Analysis.priority, Analysis.pipeline_id, Analysis.id).where(Analysis.id.in_(ids))
            claimed = session.execute(columns.order_by(Analysis.id)).all() if ids else []
        if not ids:
            return
        failpoint("claimed")
        groups: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for priority, pipeline_id, analysis_id in claimed:
            groups[priority, pipeline_id].append(analysis_id)
        unsent = set(ids)
        try:
            for (priority, _), members in sorted(groups.items()):
                for chunk in _chunks(members, self._settings.chunk_size):
                    self._publisher.publish_chunk(chunk, priority)
                    metrics.DISPATCHED.labels(priority).inc(len(chunk))
                    unsent -= set(chunk)
        except ConnectionError:
            with self._sessions.begin() as session:
                queue.unclaim(session, sorted(unsent))
            log.warning("not dispatched", extra={"analyses": sorted(unsent)})
            raise
        failpoint("published")
        log.info("dispatched", extra={"analyses": ids})

    def summarise(self) -> None:
        """Ask for the summaries of cases whose last analysis has ended.

        Raises:
            ConnectionError: the broker cannot be reached; the cases are asked for again later.
        """
        with self._sessions.begin() as session:
            cases = queue.stale_cases(session, CASES_AT_ONCE, self._settings.queued_timeout_seconds)
        for case_id, pipeline_id, revision in cases:
            self._publisher.publish_case(case_id, pipeline_id, revision)
            log.info("summary due", extra={"case": case_id, "pipeline": pipeline_id, "revision": revision})

    def fire_schedules(self) -> None:
        """Create the campaigns that are due."""
        with self._sessions.begin() as session:
            fired = schedules.fire_due(session)
        for campaign in fired:
            log.info("campaign created", extra=asdict(campaign))


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
