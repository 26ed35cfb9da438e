"""Values of forked processes are added up, and killed processes do not count as busy."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from prometheus_client import values

from telemetry import metrics


def fork(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def test_the_counts_of_forked_processes_are_added_up() -> None:
    with metrics.multiprocess_registry() as registry:
        metrics.IMAGES.labels("done", "").inc()
        for _ in range(2):
            os.waitpid(fork(lambda: metrics.IMAGES.labels("done", "").inc(3)), 0)
        assert registry.get_sample_value("karyo_images_total", {"outcome": "done", "reason": ""}) == 7
    assert values.ValueClass is values.MutexValue


def test_a_killed_process_is_not_busy() -> None:
    def work() -> None:
        with metrics.track_task("karyo.analyse_chunk"):
            ready.touch()
            time.sleep(60)

    with metrics.multiprocess_registry() as registry, tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready"
        pid = fork(work)
        while not ready.exists():
            time.sleep(0.01)
        time.sleep(0.2)
        assert 0.1 < metrics.stalled_seconds(registry) < 30
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert metrics.stalled_seconds(registry) == 0


def test_folders_of_killed_processes_are_removed() -> None:
    left = Path(tempfile.mkdtemp(prefix=f"karyo-metrics-{2**22 + 1}-"))  # no Linux gives a process this number
    with metrics.multiprocess_registry():
        assert not left.exists()


def test_the_memory_of_every_child_is_exported() -> None:
    pid = fork(lambda: time.sleep(60))
    try:
        with metrics.multiprocess_registry() as registry:
            resident = registry.get_sample_value("karyo_pool_process_resident_bytes", {"pid": str(pid)})
        assert resident is not None
        assert resident > 2**20
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_names_of_metrics_are_those_of_prometheus() -> None:
    names = set(metrics.metric_labels())
    assert {"karyo_images_total", "karyo_stage_seconds_bucket", "karyo_queue_oldest_seconds"} <= names
    assert "karyo_images" not in names
