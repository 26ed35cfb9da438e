"""The duties of a scheduler.

Each reads the database once. Any number of schedulers may run them concurrently.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Protocol

from sqlalchemy.orm import Session

from db import queue, schedules, workers
from db.engine import SessionFactory
from db.schema import Priority
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics
from telemetry.logs import get_logger

log = get_logger("scheduler")

MAX_SUMMARIES = 50  # cases whose summary one round requests
DEFAULT_CHUNK_SIZE = 4  # images in a chunk of a pipeline without a measured speed
MIN_SECONDS_PER_IMAGE = 1e-3


class Publisher(Protocol):
    """Publisher of messages to the broker.

    Raises:
        ConnectionError: from every method, if the broker cannot be reached.
    """

    def publish_chunk(self, ids: Sequence[int], priority: Priority) -> None:
        """Request the analyses ``ids``; lower priorities run first."""

    def publish_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        """Request the summary of a case."""


class Duties:
    """Everything that a scheduler does in one round.

    Args:
        settings: bounds, timeouts and chunk sizes.
        sessions: on the database.
        publisher: to the broker.
    """

    def __init__(self, settings: Settings, sessions: SessionFactory, publisher: Publisher) -> None:
        self._settings = settings
        self._sessions = sessions
        self._publisher = publisher
        self._logged_problems: dict[str, str] = {}

    def reap(self) -> None:
        """Recover what dead workers and lost messages left behind, and end the delays that are over."""
        settings = self._settings
        with self._sessions.begin() as session:
            report = queue.reap(session, settings.max_attempts, settings.queued_timeout_seconds, settings.retry_seconds)
        moved = asdict(report)
        if any(moved.values()):
            metrics.count_recovered(moved)
            log.warning("scheduler.work_recovered", **moved)

    def dispatch(self) -> None:
        """Claim and publish pending analyses, the most urgent priority first.

        Each chunk holds analyses of one pipeline and priority. Analyses that cannot be published are pending again at
        once; a scheduler that dies before publishing leaves them queued for ``queued_timeout_seconds``.

        Raises:
            ConnectionError: the broker cannot be reached.
        """
        with self._sessions.begin() as session:
            claimable = queue.claimable(session, self._settings.max_queued)
        for priority in claimable:
            self._dispatch(priority)

    def _dispatch(self, priority: Priority) -> None:
        limit = self._settings.max_queued
        with self._sessions.begin() as session:
            claimed = queue.claim(session, priority, limit, limit)
            share = -(-len(claimed) // max(workers.count_processes(session), 1)) if claimed else 0
            pipelines = dict.fromkeys(pipeline_id for _, pipeline_id in claimed)
            sizes = {pipeline_id: self._chunk_size(session, pipeline_id, share) for pipeline_id in pipelines}
        if not claimed:
            return
        failpoint("claimed")
        unsent = {analysis_id for analysis_id, _ in claimed}
        try:
            for chunk in _chunks(claimed, sizes):
                self._publisher.publish_chunk(chunk, priority)
                metrics.DISPATCHED.labels(priority.label).inc(len(chunk))
                unsent -= set(chunk)
        except ConnectionError:
            with self._sessions.begin() as session:
                queue.unclaim(session, sorted(unsent))
            log.warning("scheduler.dispatch_failed", analyses=sorted(unsent))
            raise
        failpoint("published")
        analyses = [analysis_id for analysis_id, _ in claimed]
        log.info("scheduler.dispatched", priority=priority, analyses=analyses)

    def _chunk_size(self, session: Session, pipeline_id: int, share: int) -> int:
        """Return the number of images that take a worker about ``chunk_seconds``.

        A ``stat`` image waits at most for one chunk, so ``chunk_seconds`` bounds its delay. A chunk is at most the
        ``share`` of one process, so that a few images use all processes.
        """
        seconds = queue.seconds_per_image(session, pipeline_id)
        settings = self._settings
        size = (
            DEFAULT_CHUNK_SIZE
            if seconds is None
            else round(settings.chunk_seconds / max(seconds, MIN_SECONDS_PER_IMAGE))
        )
        return max(min(size, settings.chunk_size, share), 1)

    def summarise(self) -> None:
        """Request the summaries of cases whose last analysis has ended.

        Raises:
            ConnectionError: the broker cannot be reached; the requests are repeated later.
        """
        with self._sessions.begin() as session:
            cases = queue.stale_cases(session, MAX_SUMMARIES, self._settings.queued_timeout_seconds)
        for case_id, pipeline_id, revision in cases:
            self._publisher.publish_case(case_id, pipeline_id, revision)
            log.info("scheduler.summary_requested", case=case_id, pipeline=pipeline_id, revision=revision)

    def fire_schedules(self) -> None:
        """Create the campaigns that are due."""
        with self._sessions.begin() as session:
            fired = schedules.fire_due(session)
            problems = schedules.list_problems(session)
        for campaign in fired:
            log.info("scheduler.campaign_created", **asdict(campaign))
        for name, problem in problems.items() - self._logged_problems.items():
            log.error("scheduler.schedule_failed", schedule=name, problem=problem)
        self._logged_problems = problems


def _chunks(claimed: Sequence[queue.Claimed], sizes: dict[int, int]) -> Iterator[list[int]]:
    """Yield the analysis ids of each chunk, pipeline by pipeline in the order of the claim."""
    for pipeline_id, size in sizes.items():
        members = [analysis_id for analysis_id, its_pipeline in claimed if its_pipeline == pipeline_id]
        for start in range(0, len(members), size):
            yield members[start : start + size]
