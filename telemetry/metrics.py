"""Every metric of karyoflow, as Prometheus counts them. docs/runbook.md says what to make of the worst of them.

A worker's pool processes are forked, so they leave their values in files that their parent adds up (``share``). A
metric that they touch needs a label: only labelled values are made at first use, after ``share``.
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

_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
_PREFIX = "karyo-metrics-"
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)

STAGE_SECONDS = Histogram("karyo_stage_seconds", "One step of the work on an image", ["stage"], buckets=_SECONDS)
IMAGES = Counter("karyo_images", "Images whose turn has ended: done, failed, given_back", ["outcome", "reason"])
IN_HAND = Gauge(
    "karyo_tasks_in_hand", "Messages that pool processes work on now", ["task"], multiprocess_mode="livesum"
)
PROGRESS = Gauge(
    "karyo_progress_timestamp_seconds", "When such a step last ended", ["stage"], multiprocess_mode="livemax"
)
LEASES_LOST = Counter("karyo_leases_lost", "Images that somebody else had to take over", ["noticed"])
RETRIES = Counter("karyo_retries", "Calls tried again because a service was away", ["service"])

ENGINE_SECONDS = Histogram(
    "karyo_engine_seconds", "One call of a network's engine", ["network", "engine"], buckets=_SECONDS
)
ENGINE_BATCH = Histogram("karyo_engine_batch", "Items in one call of a network", ["network", "engine"], buckets=_SIZES)

DISPATCHED = Counter("karyo_dispatched", "Analyses handed to the broker", ["priority"])
RECOVERED = Counter("karyo_recovered", "Analyses that the reaper moved: expired, quarantined, unanswered", ["how"])
ROUND_SECONDS = Histogram("karyo_scheduler_round_seconds", "One round of the scheduler's duties", buckets=_SECONDS)
ROUNDS_FAILED = Counter("karyo_scheduler_rounds_failed", "Rounds that met an outage", ["problem"])

HTTP_SECONDS = Histogram(
    "karyo_http_seconds", "One request to the pages or the API", ["method", "route", "status"], buckets=_SECONDS
)


_SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}


class Family(NamedTuple):
    """A gauge that is asked for when it is scraped."""

    name: str
    documentation: str
    labels: tuple[str, ...]

    def of(self, values_by_label: dict[tuple[str, ...], float]) -> GaugeMetricFamily:
        """The gauge with these values."""
        family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, value in values_by_label.items():
            family.add_metric(labels, value)
        return family


QUEUE_ANALYSES = Family("karyo_queue_analyses", "Analyses that have not ended", ("state", "priority"))
QUEUE_AGE = Family("karyo_queue_oldest_seconds", "Age of the oldest analysis that nobody has begun", ("priority",))
QUEUE_PAUSED = Family("karyo_queue_paused", "1 if an operator has stopped handing it out", ("priority",))
POOL_BYTES = Family("karyo_pool_process_resident_bytes", "Memory of a worker's pool process", ("pid",))


def retried(service: str) -> Callable[[object], None]:
    """Counts the retries of ``service``; to be told before each, as tenacity does."""
    return lambda _: RETRIES.labels(service).inc()


@contextmanager
def in_hand(task: str) -> Iterator[None]:
    """Count a message as being worked on."""
    PROGRESS.labels(task).set(time.time())
    with IN_HAND.labels(task).track_inprogress():
        yield


def engine_ran(network: str, kind: str, items: int, seconds: float) -> None:
    """Count a call of an engine; a listener of ``models.engine``."""
    ENGINE_BATCH.labels(network, kind).observe(items)
    ENGINE_SECONDS.labels(network, kind).observe(seconds)


def staged(seconds: Mapping[str, float]) -> None:
    """Count steps that were timed elsewhere."""
    for name, value in seconds.items():
        STAGE_SECONDS.labels(name).observe(value)


def recovered(moved: Mapping[str, int]) -> None:
    """Count what the reaper moved."""
    for how, count in moved.items():
        RECOVERED.labels(how).inc(count)


def silent_seconds(registry: CollectorRegistry) -> float:
    """Seconds since pool processes with something in hand last ended a step; 0 if none has anything in hand."""
    found = {family.name: [sample.value for sample in family.samples] for family in registry.collect()}
    if not sum(found.get(_name(IN_HAND), [])):
        return 0.0
    return time.time() - max(found.get(_name(PROGRESS), [0.0]))


@contextmanager
def share() -> Iterator[CollectorRegistry]:
    """Add up this process's values and those of the processes that it forks; the registry that knows the sums."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]  # the library chose at its import, when this was not known yet
    registry = CollectorRegistry()
    registry.register(_Pool(folder, os.getpid()))
    try:
        _remove_left_behind()
        yield registry
    finally:
        del os.environ["PROMETHEUS_MULTIPROC_DIR"]
        values.ValueClass = values.MutexValue
        shutil.rmtree(folder, ignore_errors=True)


def _remove_left_behind() -> None:
    """Folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


class _Pool(Collector):
    """The sums over all processes that write to ``folder``, and the memory of those that ``parent`` has."""

    def __init__(self, folder: Path, parent: int) -> None:
        self._folder = folder
        self._parent = parent
        self._sums = MultiProcessCollector(None, str(folder))  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Any]:
        for file in self._folder.glob("gauge_live*.db"):
            pid = int(file.stem.rpartition("_")[2])
            if not psutil.pid_exists(pid):  # what the killed have in hand is in nobody's hand
                mark_process_dead(pid, str(self._folder))  # type: ignore[no-untyped-call]
        yield from self._sums.collect()  # type: ignore[no-untyped-call]
        yield POOL_BYTES.of({(str(child.pid),): _resident(child) for child in children(self._parent)})


def children(parent: int) -> list[psutil.Process]:
    """Processes that ``parent`` has, without the one that asks."""
    try:
        return [child for child in psutil.Process(parent).children() if child.pid != os.getpid()]
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> float:
    try:
        return float(process.memory_info().rss)
    except psutil.Error:
        return 0.0


def families() -> dict[str, tuple[str, ...]]:
    """The labels of every metric, by its name as rules and dashboards spell it."""
    found = {}
    for value in globals().values():
        if isinstance(value, Family):
            found[value.name] = value.labels
        elif isinstance(value, Counter | Gauge | Histogram):
            found |= {_name(value) + suffix: tuple(value._labelnames) for suffix in _SUFFIXES[type(value)]}
    return found


def _name(metric: Counter | Gauge | Histogram) -> str:
    return next(iter(metric.describe())).name
