"""What a scheduler shows of itself and of the queue."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from db.engine import SessionFactory, check, make_engine, make_sessions
from db.queue.backlog import NAMES, backlog
from db.schema import Queue
from settings import Settings
from telemetry import metrics, probes, traces

log = logging.getLogger("scheduler")

SILENT_SECONDS = 300.0
"""A loop that has not gone round for this long, failing or not, does not live."""
IDLE_SECONDS = 60.0
"""A scheduler whose last good round is longer ago is of no use at present; three rounds, if they are further apart."""


class Monitor:
    """Told by the loop how it fares; ``lives`` and ``works`` are what the probes ask."""

    def __init__(self, poll_seconds: float = 1.0) -> None:
        self.lives = probes.Pulse(max(SILENT_SECONDS, 3 * poll_seconds))
        self.works = probes.Pulse(max(IDLE_SECONDS, 3 * poll_seconds))

    def round_done(self, seconds: float) -> None:
        """Every duty was done."""
        self.lives.beat()
        self.works.beat()
        metrics.ROUND_SECONDS.observe(seconds)

    def round_failed(self, problem: BaseException | None) -> None:
        """A service was away."""
        self.lives.beat()
        metrics.ROUNDS_FAILED.labels(type(problem).__name__).inc()


@contextmanager
def monitored(settings: Settings) -> Iterator[Monitor]:
    """Serve metrics and probes of this process for as long as the block runs."""
    monitor = Monitor(settings.poll_seconds)
    database = make_engine(str(settings.database_url), application_name="karyo-scheduler-probe", pool_size=1)
    sessions = make_sessions(database)
    registry = _everything_and(_Queue(sessions))
    ready = {
        "database": lambda: check(sessions),
        "broker": lambda: probes.check_broker(str(settings.broker_url)),
        "rounds": monitor.works.check,
    }
    end_traces = traces.enable("karyo-scheduler") if settings.traces else lambda: None
    try:
        with probes.serve_probes(settings.metrics_address, registry, alive={"rounds": monitor.lives.check}, ready=ready):
            yield monitor
    finally:
        end_traces()
        database.dispose()


def _everything_and(queue: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(queue)
    return registry


class _Queue(Collector):
    """Asks the database when it is scraped. Every scheduler says the same, so take the largest."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[GaugeMetricFamily]:
        try:
            with self._sessions() as session:
                rows = backlog(session)
                paused = session.execute(select(Queue.priority, Queue.paused_at.is_not(None))).all()
        except SQLAlchemyError as problem:
            log.warning("the queue cannot be measured", extra={"kind": type(problem).__name__})
            return
        yield metrics.QUEUE_ANALYSES.gauge({(row.state, row.priority): row.analyses for row in rows})
        ages: dict[tuple[str, ...], float] = {}
        for row in rows:
            if row.state != "running":
                ages[row.priority,] = max(row.oldest_seconds, ages.get((row.priority,), 0.0))
        yield metrics.QUEUE_AGE.gauge(ages)
        yield metrics.QUEUE_PAUSED.gauge({(NAMES[priority],): float(is_paused) for priority, is_paused in paused})
