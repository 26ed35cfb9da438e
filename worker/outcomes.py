"""How an image's stay in this process ends: done, failed or given back, in one transaction and one line of log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy.orm import Session

from db import queue
from db.queue import AnalysisResult, Leased
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics
from telemetry.traces import stage
from worker.budget import Budget
from worker.heartbeat import Heartbeat
from worker.together import Together
from worker.transactions import Transactions

log = logging.getLogger("worker")


class Outcomes:
    """Writes how images ended, and lets go of them. Safe to share between threads."""

    def __init__(self, transact: Transactions, heart: Heartbeat, budget: Budget, settings: Settings) -> None:
        self._transact = transact
        self._heart = heart
        self._budget = budget
        self._settings = settings
        self._finish = Together(self._finish_all)

    def done(self, leased: Leased, result: AnalysisResult) -> None:
        """Write the results, unless the lease is lost."""

        with stage("write"):
            written = self._finish((leased, result))
        failpoint("finished", leased.file_name)
        self.drop(leased)
        if not written:
            metrics.LEASES_LOST.labels("finish").inc()
            log.warning("lease lost, result dropped", extra=ids(leased))
            return
        metrics.IMAGES.labels("done", "").inc()
        found = {"iscn": result.iscn, "chromosomes": len(result.chromosomes), "seconds": round(result.seconds, 3)}
        log.info("image done", extra={**ids(leased), **found})

    def _finish_all(self, finished: Sequence[tuple[Leased, AnalysisResult]]) -> list[bool]:
        def finish(session: Session) -> set[int]:
            written = queue.finish_all(session, finished)
            for leased, _ in finished:
                failpoint("finishing", leased.file_name)
            return written

        written = self._transact(finish)
        return [leased.analysis_id in written for leased, _ in finished]

    def failed(self, leased: Leased, reason: str, sentence: str) -> None:
        """End an analysis that no other attempt would help."""
        if self._transact(lambda session: queue.fail(session, leased, reason, sentence)):
            metrics.IMAGES.labels("failed", reason).inc()
            log.warning("image failed", extra={**ids(leased), "reason": reason, "sentence": sentence})
        self.drop(leased)

    def given_back(self, leased: Leased, reason: str | None = None, sentence: str | None = None) -> None:
        """Let another attempt follow; with a ``reason`` this one counts."""
        self._transact(
            lambda session: queue.release(
                session,
                leased,
                reason=reason,
                sentence=sentence,
                max_attempts=self._settings.max_attempts,
                retry_seconds=self._settings.retry_seconds if reason else 0.0,
            )
        )
        metrics.IMAGES.labels("given_back", reason or "").inc()
        log.info("image given back", extra={**ids(leased), "reason": reason})
        self.drop(leased)

    def drop(self, leased: Leased) -> None:
        """Let go of an image: its lease is not extended any more, its memory is free."""
        self._heart.drop(leased)
        self._budget.give(leased)


def ids(leased: Leased) -> dict[str, object]:
    """What a line of log says of an image."""
    return {
        "analysis": leased.analysis_id,
        "image": leased.image_id,
        "pipeline": leased.pipeline_id,
        "attempt": leased.attempts + 1,
        "file": leased.file_name,
    }
