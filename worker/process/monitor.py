"""Metrics, traces and health probes of a worker and all its pool processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from celery import signals
from prometheus_client import CollectorRegistry

from db.engine import check_once
from models import engine
from models.providers import PROVIDERS
from models.runtime import ort
from settings import Settings
from storage import open_store
from telemetry import metrics, probes, traces

STALLED_SECONDS = 600.0  # s without the end of a stage, after which a busy worker is not alive


@contextmanager
def monitored(settings: Settings) -> Iterator[None]:
    """Publish metrics, traces and probes of this worker and its pool during the block."""
    worker = os.getpid()
    store = open_store(str(settings.object_store), endpoint_url=settings.s3_endpoint_url)
    ready = {
        "database": lambda: check_once(str(settings.database_url), "karyo-worker-probe"),
        "broker": lambda: probes.check_broker(str(settings.broker_url)),
        "object_store": store.check,
        "engine": lambda: _check_engine(settings.engine.value),
        "pool": lambda: _check_pool(worker),
    }

    def after_fork(**_: object) -> None:
        if settings.traces:
            traces.enable("karyo-worker")

    with metrics.multiprocess_registry() as registry:
        alive = {"progress": lambda: _check_progress(registry)}
        with probes.serve_probes_in_sidecar(settings.metrics_address, registry, alive=alive, ready=ready):
            signals.worker_process_init.connect(after_fork)
            engine.listeners.append(metrics.observe_engine_call)
            try:
                yield
            finally:
                engine.listeners.remove(metrics.observe_engine_call)
                signals.worker_process_init.disconnect(after_fork)


def _check_progress(registry: CollectorRegistry) -> None:
    stalled = metrics.stalled_seconds(registry)
    if stalled > STALLED_SECONDS:
        raise probes.CheckFailed(f"messages in progress, and no stage has ended for {stalled:.0f} s")


def _check_engine(choice: str) -> None:
    """Check the installed wheel only: a process that forks must not touch the GPU."""
    if choice != "auto" and PROVIDERS[choice] not in ort.get_available_providers():
        raise probes.CheckFailed(f"ONNX Runtime here has no {PROVIDERS[choice]}")


def _check_pool(worker: int) -> None:
    if not metrics.child_processes(worker):
        raise probes.CheckFailed("no pool process")
