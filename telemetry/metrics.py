"""Prometheus metrics of karyoflow; docs/runbook.md explains the alerts that use them.

The pool processes of a worker are forked. They write their values to files, and the parent adds them up
(``multiprocess_registry``). A metric that a pool process changes needs a label: only labelled values are created at
first use, after the fork.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

_SECONDS_BUCKETS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_PREFIX = "karyo-metrics-"
_ITEMS_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

STAGE_SECONDS = Histogram(
    "karyo_stage_seconds", "One stage of the work on an image", ["stage"], buckets=_SECONDS_BUCKETS
)
IMAGES = Counter("karyo_images", "Analyses that ended in a worker: done, failed, given_back", ["outcome", "reason"])
TASKS_IN_PROGRESS = Gauge(
    "karyo_tasks_in_hand", "Messages that pool processes work on now", ["task"], multiprocess_mode="livesum"
)
PROGRESS = Gauge("karyo_progress_timestamp_seconds", "When a stage last ended", ["stage"], multiprocess_mode="livemax")
LEASES_LOST = Counter("karyo_leases_lost", "Analyses whose lease another process took over", ["noticed"])
RETRIES = Counter("karyo_retries", "Calls repeated because a service was unavailable", ["service"])

ENGINE_SECONDS = Histogram(
    "karyo_engine_seconds", "One call of a network's engine", ["network", "engine"], buckets=_SECONDS_BUCKETS
)
ENGINE_BATCH = Histogram(
    "karyo_engine_batch", "Items in one call of a network", ["network", "engine"], buckets=_ITEMS_BUCKETS
)

DISPATCHED = Counter("karyo_dispatched", "Analyses handed to the broker", ["priority"])
RECOVERED = Counter("karyo_recovered", "Analyses that the reaper moved: expired, quarantined, unanswered", ["how"])
ROUND_SECONDS = Histogram(
    "karyo_scheduler_round_seconds", "One round of the scheduler's duties", buckets=_SECONDS_BUCKETS
)
ROUNDS_FAILED = Counter("karyo_scheduler_rounds_failed", "Rounds that an outage ended", ["problem"])

HTTP_SECONDS = Histogram(
    "karyo_http_seconds", "One request to the pages or the API", ["method", "route", "status"], buckets=_SECONDS_BUCKETS
)


_SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}


class Family(NamedTuple):
    """A gauge whose values are computed at each scrape."""

    name: str
    documentation: str
    labels: tuple[str, ...]

    def gauge(self, values_by_label: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
        """Return the gauge with one value for each tuple of label values."""
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, value in values_by_label.items():
            family.add_metric(labels, value)
        return family


QUEUE_ANALYSES = Family("karyo_queue_analyses", "Analyses that have not ended", ("state", "priority"))
QUEUE_AGE = Family("karyo_queue_oldest_seconds", "Age of the oldest analysis that no worker has begun", ("priority",))
QUEUE_PAUSED = Family("karyo_queue_paused", "1 if an operator has paused the queue", ("priority",))
POOL_BYTES = Family("karyo_pool_process_resident_bytes", "Memory of a worker's pool process", ("pid",))


def count_retries(service: str) -> Callable[[object], None]:
    """Return a ``before_sleep`` hook for tenacity that counts the retries of ``service``."""
    return lambda _: RETRIES.labels(service).inc()


@contextmanager
def track_task(task: str) -> Iterator[None]:
    """Count a message of ``task`` as in progress during the block."""
    PROGRESS.labels(task).set(time.time())
    with TASKS_IN_PROGRESS.labels(task).track_inprogress():
        yield


def observe_engine_call(network: str, kind: str, items: int, seconds: float) -> None:
    """Count one call of an engine; a listener of ``models.engine``."""
    ENGINE_BATCH.labels(network, kind).observe(items)
    ENGINE_SECONDS.labels(network, kind).observe(seconds)


def observe_stages(seconds: Mapping[str, float]) -> None:
    """Count stages that the pipeline timed itself, in seconds by name."""
    for name, value in seconds.items():
        STAGE_SECONDS.labels(name).observe(value)


def count_recovered(moved: Mapping[str, int]) -> None:
    """Count the analyses that the reaper moved, by kind."""
    for how, count in moved.items():
        RECOVERED.labels(how).inc(count)


def stalled_seconds(registry: CollectorRegistry) -> float:
    """Return the seconds since a busy pool process last ended a stage; 0 if none is busy."""
    samples = {family.name: [sample.value for sample in family.samples] for family in registry.collect()}
    if not sum(samples.get(_name(TASKS_IN_PROGRESS), [])):
        return 0.0
    return time.time() - max(samples.get(_name(PROGRESS), [0.0]))


@contextmanager
def multiprocess_registry() -> Iterator[CollectorRegistry]:
    """Add up the values of this process and of the processes that it forks during the block.

    Yields:
        The registry of the sums.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # chosen at import, before the folder
    registry = CollectorRegistry()
    registry.register(_Pool(folder, os.getpid()))
    try:
        _remove_abandoned_folders()
        yield registry
    finally:
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        values.ValueClass = values.MutexValue
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned_folders() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


class _Pool(Collector):
    """Sums over the processes that write to ``folder``; memory of the children of ``parent``."""

    def __init__(self, folder: Path, parent: int) -> None:
        self._folder = folder
        self._parent = parent
        self._sums = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Any]:
        for file in self._folder.glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not psutil.pid_exists(pid):  # a killed process is busy with nothing
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        yield from self._sums.collect()  # type: ignore[no-untyped-call]
        yield POOL_BYTES.gauge({(str(child.pid),): _resident_bytes(child) for child in child_processes(self._parent)})


def child_processes(parent: int) -> list[psutil.Process]:
    """Return the child processes of ``parent``, without the calling process."""
    try:
        return [child for child in psutil.Process(parent).children() if child.pid != os.getpid()]
    except psutil.NoSuchProcess:
        return []


def _resident_bytes(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return 0.0


def metric_labels() -> dict[str, tuple[str, ...]]:
    """Return the labels of every metric, by its name in rules and dashboards."""
    labels = {}
    for value in globals().values():
        if isinstance(value, Family):
            labels[value.name] = value.labels
        elif isinstance(value, Counter | Gauge | Histogram):
            labels |= {_name(value) + suffix: tuple(value._labelnames) for suffix in _SUFFIXES[type(value)]}
    return labels


def _name(metric: Counter | Gauge | Histogram) -> str:
    return next(iter(metric.describe())).name
