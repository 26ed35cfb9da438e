"""How an image's stay in this process ends: done, failed or given back, in one transaction and one line of log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextvars import Context, copy_context
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import queue
from db.queue import AnalysisResult, Leased
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics
from telemetry.traces import stage
from worker.chunk.in_flight import Budget
from worker.chunk.lease_renewal import Heartbeat
from worker.chunk.micro_batch import Together
from worker.process.retries import Transactions, is_outage

log = logging.getLogger("worker")


COMPANY_SECONDS = 0.1
"""How long a result waits for others that are committed with it."""


class Finished(NamedTuple):
    """Results that are to be written."""

    leased: Leased
    result: AnalysisResult
    context: Context
    """Of logs."""


class Outcomes:
    """Writes how images ended, and lets go of them. Safe to share between threads."""

    def __init__(self, transact: Transactions, heart: Heartbeat, budget: Budget, settings: Settings) -> None:
        self._transact = transact
        self._heart = heart
        self._budget = budget
        self._settings = settings
        self._finished = Together(self._finish, COMPANY_SECONDS)

    def done(self, leased: Leased, result: AnalysisResult) -> None:
        """Write the results soon, with others, unless the lease is lost."""
        self._finished.add(Finished(leased, result, copy_context()))

    def drain(self) -> None:
        """Return when the results of all that is done are written."""
        self._finished.drain()

    def close(self) -> None:
        """Write what is left and stop."""
        self._finished.close()

    def _finish(self, finished: Sequence[Finished]) -> None:
        def finish(session: Session) -> set[int]:
            written = queue.finish_all(session, [(one.leased, one.result) for one in finished])
            for one in finished:
                failpoint("finishing", one.leased.file_name)
            return written

        try:
            with stage("write"):
                written = self._transact(finish)
        except Exception as problem:
            if len(finished) > 1 and not is_outage(problem):  # the one to blame spoils nothing for the others
                for one in finished:
                    self._finish([one])
                return
            for one in finished:
                one.context.run(self._not_written, one.leased, problem)
            return
        for one in finished:
            one.context.run(self._finished_one, one, one.leased.analysis_id in written)

    def _finished_one(self, finished: Finished, written: bool) -> None:
        leased, result, _ = finished
        failpoint("finished", leased.file_name)
        self.drop(leased)
        if not written:
            metrics.LEASES_LOST.labels("finish").inc()
            log.warning("lease lost, result dropped", extra=ids(leased))
            return
        metrics.IMAGES.labels("done", "").inc()
        found = {"iscn": result.iscn, "chromosomes": len(result.chromosomes), "seconds": round(result.seconds, 3)}
        log.info("image done", extra={**ids(leased), **found})

    def _not_written(self, leased: Leased, problem: Exception) -> None:
        """Give an image back whose results the database did not take; an outage is none of its failures."""
        blamed = () if is_outage(problem) else ("unexpected_error", f"{type(problem).__name__}: {problem}")
        log.error("result not written", extra=ids(leased), exc_info=problem)
        try:
            self.given_back(leased, *blamed)
        except SQLAlchemyError as another:  # its lease will run out
            log.error("image not given back", extra={**ids(leased), "problem": str(another)})

    def failed(self, leased: Leased, reason: str, sentence: str) -> None:
        """End an analysis that no other attempt would help."""
        try:
            if self._transact(lambda session: queue.fail(session, leased, reason, sentence)):
                metrics.IMAGES.labels("failed", reason).inc()
                log.warning("image failed", extra={**ids(leased), "reason": reason, "sentence": sentence})
        finally:
            self.drop(leased)

    def given_back(
        self, leased: Leased, reason: str | None = None, sentence: str | None = None, *, suspect: bool = False
    ) -> None:
        """Let another attempt follow; with a ``reason`` this one counts. A ``suspect`` goes alone then."""

        def release(session: Session) -> bool:
            return queue.release(
                session,
                leased,
                reason=reason,
                sentence=sentence,
                max_attempts=self._settings.max_attempts,
                retry_seconds=self._settings.retry_seconds if reason else 0.0,
                suspect=suspect,
            )

        try:
            self._transact(release)
            metrics.IMAGES.labels("given_back", reason or "").inc()
            log.info("image given back", extra={**ids(leased), "reason": reason})
        finally:
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
