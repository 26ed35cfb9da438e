"""Ends of analyses in this process: done, failed or given back, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from db import queue
from db.outages import RetryingTransactions, is_outage
from db.queue import AnalysisResult, Leased
from settings import Settings
from settings.failpoint import failpoint
from telemetry import metrics
from telemetry.logs import get_logger
from telemetry.redaction import redact
from telemetry.traces import stage
from worker.chunk.in_flight import InFlight, Step
from worker.chunk.micro_batch import MicroBatch

log = get_logger("worker")

COMMIT_DELAY = 0.1  # s, that a result waits for others to share its commit


class Completion(NamedTuple):
    """Results that wait for their commit."""

    leased: Leased
    result: AnalysisResult
    context: Context
    """Fields of log lines and traces."""


class Completer:
    """Ends analyses, in the database and in the ledger. Safe to share between threads.

    Args:
        transact: runs functions of a session.
        in_flight: the ledger.
        settings: of this process.
        on_unwritten: called after results were not written, as their analyses are another worker's now, or erased.
    """

    def __init__(
        self,
        transact: RetryingTransactions,
        in_flight: InFlight,
        settings: Settings,
        on_unwritten: Callable[[], None] = lambda: None,
    ) -> None:
        self._transact = transact
        self._on_unwritten = on_unwritten
        self._in_flight = in_flight
        self._settings = settings
        self._commits = MicroBatch(self._commit, COMMIT_DELAY)

    def done(self, leased: Leased, result: AnalysisResult) -> None:
        """Write the results in the next commit, unless the lease is lost."""
        self._commits.add(Completion(leased, result, copy_context()))
        self._in_flight.advance(leased, Step.COMPLETING)

    def drain(self) -> None:
        """Return when the results of every completed analysis are committed."""
        self._commits.drain()

    def close(self) -> None:
        """Commit the remaining results and stop."""
        self._commits.close()

    def _commit(self, completions: Sequence[Completion]) -> None:
        def finish(session: Session) -> set[int]:
            written = queue.finish_all(session, [(one.leased, one.result) for one in completions])
            for one in completions:
                failpoint("finishing", one.leased.file_name)
            return written

        try:
            with stage("write"):
                written = self._transact(finish)
        except Exception as problem:
            if len(completions) > 1 and not is_outage(problem):  # a result that is refused must not spoil the others
                for one in completions:
                    self._commit([one])
                return
            for one in completions:
                one.context.run(self._not_written, one.leased, problem)
            return
        for one in completions:
            one.context.run(self._committed, one, one.leased.analysis_id in written)
        if len(written) < len(completions):
            self._on_unwritten()

    def _committed(self, completion: Completion, written: bool) -> None:
        leased, result, _ = completion
        failpoint("finished", leased.file_name)
        self._in_flight.remove(leased)
        if not written:
            metrics.LEASES_LOST.labels("finish").inc()
            log.warning("lease.lost", noticed="finish", **log_fields(leased))
            return
        metrics.IMAGES.labels("done", "").inc()
        found = {"iscn": result.iscn, "chromosomes": len(result.chromosomes), "seconds": round(result.seconds, 3)}
        log.info("analysis.done", **log_fields(leased), **found)

    def _not_written(self, leased: Leased, problem: Exception) -> None:
        """Give an image back whose results were not written; an outage is no failure of the image."""
        blame = () if is_outage(problem) else ("unexpected_error", f"{type(problem).__name__}: {problem}")
        log.error("analysis.not_written", exc_info=problem, **log_fields(leased))
        try:
            self.give_back(leased, *blame)
        except SQLAlchemyError as another:  # its lease expires
            log.error("analysis.not_given_back", problem=str(another), **log_fields(leased))

    def fail(self, leased: Leased, reason: str, sentence: str) -> None:
        """End an analysis that no other attempt would help.

        Args:
            leased: its lease.
            reason: why, as a word that never changes.
            sentence: why, for people.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused, or stayed away.
        """
        try:
            if self._transact(lambda session: queue.fail(session, leased, reason, sentence)):
                metrics.IMAGES.labels("failed", reason).inc()
                log.warning("analysis.failed", reason=reason, sentence=sentence, **log_fields(leased))
        finally:
            self._in_flight.remove(leased)

    def give_back(
        self, leased: Leased, reason: str | None = None, sentence: str | None = None, *, suspect: bool = False
    ) -> None:
        """Let another attempt follow.

        Args:
            leased: the lease of this attempt.
            reason: why the attempt failed; without a reason it does not count.
            sentence: the same for people.
            suspect: whether the next attempt must have the process for itself.

        Raises:
            sqlalchemy.exc.SQLAlchemyError: the database refused, or stayed away.
        """

        def release(session: Session) -> bool:
            return queue.release(
                session,
                leased,
                reason=reason,
                sentence=sentence and redact(sentence),
                max_attempts=self._settings.max_attempts,
                retry_seconds=self._settings.retry_seconds if reason else 0.0,
                suspect=suspect,
            )

        try:
            self._transact(release)
            metrics.IMAGES.labels("given_back", reason or "").inc()
            log.info("analysis.given_back", reason=reason, **log_fields(leased))
        finally:
            self._in_flight.remove(leased)


def log_fields(leased: Leased) -> dict[str, object]:
    """Return the fields that name an analysis in a line of log."""
    return {
        "analysis": leased.analysis_id,
        "image": leased.image_id,
        "pipeline": leased.pipeline_id,
        "attempt": leased.attempts + 1,
        "file": leased.file_name,
    }
