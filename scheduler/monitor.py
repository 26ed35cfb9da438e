"""Metrics, traces and health probes of a scheduler, and gauges of the queue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry
from prometheus_client.core import REGISTRY, GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from db.engine import SessionFactory, check, make_engine, make_sessions
from db.queue.backlog import backlog
from db.schema import Queue, State
from settings import Settings
from telemetry import metrics, probes, traces
from telemetry.logs import get_logger

log = get_logger("scheduler")

ALIVE_SECONDS = 300.0  # s without a round, completed or failed, after which a scheduler is not alive
READY_SECONDS = 60.0  # s without a completed round, after which a scheduler is not ready
MIN_ROUNDS = 3  # polling intervals that both limits span at least


class Monitor:
    """Pulses of the loop: ``alive`` beats every round, ``ready`` every completed round.

    Args:
        poll_seconds: interval between two rounds.
    """

    def __init__(self, poll_seconds: float = 1.0) -> None:
        self.alive = probes.Pulse(max(ALIVE_SECONDS, MIN_ROUNDS * poll_seconds))
        self.ready = probes.Pulse(max(READY_SECONDS, MIN_ROUNDS * poll_seconds))

    def round_completed(self, seconds: float) -> None:
        """Record a round of all duties that took ``seconds``."""
        self.alive.beat()
        self.ready.beat()
        metrics.ROUND_SECONDS.observe(seconds)

    def round_failed(self, error: BaseException | None) -> None:
        """Record a round that an unavailable service ended."""
        self.alive.beat()
        metrics.ROUNDS_FAILED.labels(type(error).__name__).inc()


@contextmanager
def monitored(settings: Settings) -> Iterator[Monitor]:
    """Publish metrics, traces and probes of this process during the block."""
    monitor = Monitor(settings.poll_seconds)
    database = make_engine(str(settings.database_url), application_name="karyo-scheduler-probe", pool_size=1)
    sessions = make_sessions(database)
    registry = _registry_with(QueueCollector(sessions))
    alive = {"rounds": monitor.alive.check}
    ready = {
        "database": lambda: check(sessions),
        "broker": lambda: probes.check_broker(str(settings.broker_url)),
        "rounds": monitor.ready.check,
    }
    end_traces = traces.enable("karyo-scheduler") if settings.traces else lambda: None
    try:
        with probes.serve_probes(settings.metrics_address, registry, alive=alive, ready=ready):
            yield monitor
    finally:
        end_traces()
        database.dispose()


class QueueCollector(Collector):
    """Gauges of the queue, read from the database at each scrape.

    Every scheduler reports the same values, so a query takes their maximum.
    """

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; none while the database is unreachable."""
        try:
            with self._sessions() as session:
                groups = backlog(session)
                paused = session.execute(select(Queue.priority, Queue.paused_at.is_not(None))).all()
        except SQLAlchemyError as error:
            log.warning("scheduler.queue_unmeasured", kind=type(error).__name__)
            return
        analyses: dict[tuple[str, ...], float] = {}
        ages: dict[tuple[str, ...], float] = {}
        for group in groups:
            priority = group.priority.label
            analyses[group.state, priority] = group.analyses
            if group.state != State.RUNNING:
                ages[priority,] = max(group.oldest_seconds, ages.get((priority,), 0.0))
        yield metrics.QUEUE_ANALYSES.gauge(analyses)
        yield metrics.QUEUE_AGE.gauge(ages)
        yield metrics.QUEUE_PAUSED.gauge({(priority.label,): float(is_paused) for priority, is_paused in paused})


def _registry_with(collector: Collector) -> CollectorRegistry:
    """Return a registry of this process's metrics and of ``collector``."""
    registry = CollectorRegistry()
    registry.register(REGISTRY)
    registry.register(collector)
    return registry
