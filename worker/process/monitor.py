"""What a worker shows of itself: metrics of all its pool processes, traces, and probes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from celery import signals
from prometheus_client import CollectorRegistry

from db.engine import check_anew
from models import engine
from models.providers import PROVIDERS
from models.runtime import ort
from settings import Settings
from storage import open_store
from telemetry import metrics, probes, traces

STUCK_SECONDS = 600.0
"""A worker with messages in hand that ends no step for this long does not live."""


@contextmanager
def monitored(settings: Settings) -> Iterator[None]:
    """Show what this worker and the pool processes that it forks do, for as long as the block runs."""
    worker = os.getpid()
    store = open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url)
    ready = {
        "database": lambda: check_anew(str(settings.database_url), "karyo-worker-probe"),
        "broker": lambda: probes.check_broker(str(settings.broker_url)),
        "object_store": store.check,
        "engine": lambda: _engine_installed(settings.engine.value),
        "pool": lambda: _pool_lives(worker),
    }

    def after_fork(**_: object) -> None:
        if settings.traces:
            traces.enable("karyo-worker")

    with metrics.multiprocess_registry() as registry:
        alive = {"progress": lambda: _progresses(registry)}
        with probes.serve_probes_in_sidecar(settings.metrics_address, registry, alive=alive, ready=ready):
            signals.worker_process_init.connect(after_fork)
            engine.listeners.append(metrics.observe_engine_call)
            try:
                yield
            finally:
                engine.listeners.remove(metrics.observe_engine_call)
                signals.worker_process_init.disconnect(after_fork)


def _progresses(registry: CollectorRegistry) -> None:
    silent = metrics.stalled_seconds(registry)
    if silent > STUCK_SECONDS:
        raise probes.CheckFailed(f"messages in hand, and no step has ended for {silent:.0f} s")


def _engine_installed(choice: str) -> None:
    """Look no further than the wheel: a process that forks must not touch the GPU itself."""
    if choice != "auto" and PROVIDERS[choice] not in ort.get_available_providers():
        raise probes.CheckFailed(f"ONNX Runtime here has no {PROVIDERS[choice]}")


def _pool_lives(worker: int) -> None:
    if not metrics.child_processes(worker):
        raise probes.CheckFailed("no pool process")
