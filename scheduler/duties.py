"""The scheduler's duties. Each is one look at the database; any number of schedulers may do them at once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Protocol

from sqlalchemy.orm import Session

from db import queue, schedules, workers
from db.engine import SessionFactory
from db.queue.backlog import NAMES
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics

log = logging.getLogger("scheduler")

CASES_AT_ONCE = 50
UNMEASURED_CHUNK = 4
"""Images in a chunk of a pipeline that has not finished any yet."""


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
        self._troubled: dict[str, str] = {}

    def reap(self) -> None:
        """Bring back what a dead worker or a lost message left behind, and what has waited for its next attempt."""
        settings = self._settings
        with self._sessions.begin() as session:
            report = queue.reap(session, settings.max_attempts, settings.queued_timeout_seconds, settings.retry_seconds)
        if report.expired or report.quarantined or report.unanswered:
            metrics.count_recovered(asdict(report))
            log.warning("recovered lost work", extra=asdict(report))

    def dispatch(self) -> None:
        """Hand pending analyses to the broker, the most urgent queue first, in chunks of one pipeline and priority.

        What cannot be published is pending again at once; what is lost between commit and publishing, after
        ``queued_timeout_seconds``.

        Raises:
            ConnectionError: the broker cannot be reached.
        """
        with self._sessions.begin() as session:
            claimable = queue.claimable(session, self._settings.max_queued)
        for priority in claimable:
            self._dispatch(priority)

    def _dispatch(self, priority: int) -> None:
        limit = self._settings.max_queued
        with self._sessions.begin() as session:
            claimed = queue.claim(session, priority, limit, limit)
            share = -(-len(claimed) // max(workers.processes(session), 1)) if claimed else 0
            found = dict.fromkeys(pipeline_id for _, pipeline_id in claimed)
            sizes = {pipeline_id: self._chunk_size(session, pipeline_id, share) for pipeline_id in found}
        if not claimed:
            return
        failpoint("claimed")
        unsent = {analysis_id for analysis_id, _ in claimed}
        try:
            for pipeline_id, size in sizes.items():
                members = [analysis_id for analysis_id, its_pipeline in claimed if its_pipeline == pipeline_id]
                for chunk in _chunks(members, size):
                    self._publisher.publish_chunk(chunk, priority)
                    metrics.DISPATCHED.labels(NAMES[priority]).inc(len(chunk))
                    unsent -= set(chunk)
        except ConnectionError:
            with self._sessions.begin() as session:
                queue.unclaim(session, sorted(unsent))
            log.warning("not dispatched", extra={"analyses": sorted(unsent)})
            raise
        failpoint("published")
        log.info("dispatched", extra={"priority": priority, "analyses": [analysis_id for analysis_id, _ in claimed]})

    def _chunk_size(self, session: Session, pipeline_id: int, share: int) -> int:
        """Images that keep a worker busy for about ``chunk_seconds``, which is how long a ``stat`` image may wait.

        Never more than the ``share`` of one process, so that few images are spread over all of them.
        """
        pace = queue.seconds_per_image(session, pipeline_id)
        wanted = UNMEASURED_CHUNK if pace is None else round(self._settings.chunk_seconds / max(pace, 1e-3))
        return max(min(wanted, self._settings.chunk_size, share), 1)

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
            troubled = schedules.troubled(session)
        for campaign in fired:
            log.info("campaign created", extra=asdict(campaign))
        for name, problem in troubled.items() - self._troubled.items():
            log.error("schedule cannot be acted on", extra={"schedule": name, "problem": problem})
        self._troubled = troubled


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
