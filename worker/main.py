"""Worker process: a Celery main process without an engine, and the pool processes that work."""

from __future__ import annotations

import os
import socket
import sys
import warnings
from importlib.metadata import version

from celery import Celery, signals
from celery.platforms import SecurityWarning

from db.queue import StaleCase
from db.workers import Installation
from models import registry
from models.providers import share_cores
from settings import Settings
from telemetry.logs import configure, get_logger
from telemetry.metrics import track_task
from worker.case_task import summarise_case
from worker.celery_app import ANALYSE_CHUNK, SUMMARISE_CASE, check_configuration, make_app
from worker.chunk.runner import Runner
from worker.process.consumer_watchdog import ConsumerWatchdog
from worker.process.heartbeat import send_heartbeats
from worker.process.monitor import monitored
from worker.process.resources import LoadPipeline, Resources, load_pipeline
from worker.process.shutdown import GracefulTerm, StopFlag

log = get_logger("worker")


class Tasks:
    """The two Celery tasks; each pool process opens their resources at its first message."""

    def __init__(self, settings: Settings, stop: StopFlag, load: LoadPipeline) -> None:
        self._settings = settings
        self._stop = stop
        self._load = load
        self._resources: Resources | None = None
        self._runner: Runner | None = None

    def register(self, app: Celery) -> None:
        """Add the tasks to ``app`` under their explicit names."""
        app.task(name=ANALYSE_CHUNK, shared=False)(self.analyse_chunk)
        app.task(name=SUMMARISE_CASE, shared=False)(self.summarise_case)

    def analyse_chunk(self, ids: list[int]) -> None:
        """Analyse those of the analyses ``ids`` that are still queued."""
        with GracefulTerm() as term, track_task(ANALYSE_CHUNK):
            if self._runner is None:
                self._runner = Runner(self._open())
            self._runner.run(ids, lambda: self._stop.is_set() or term.requested)

    def summarise_case(self, case_id: int, pipeline_id: int, revision: int) -> None:
        """Summarise a case, unless it has changed since the message was sent."""
        with track_task(SUMMARISE_CASE):
            summarise_case(self._open(), StaleCase(case_id, pipeline_id, revision), self._stop.is_set)

    def close(self) -> None:
        """Write the remaining results of a pool process that leaves."""
        if self._runner is not None:
            self._runner.close()

    def _open(self) -> Resources:
        if self._resources is None:
            self._resources = Resources.open(self._settings, self._load)
        return self._resources


def main(settings: Settings, *, concurrency: int = 1, load: LoadPipeline = load_pipeline) -> None:
    """Run a worker in the foreground until SIGTERM or Ctrl-C, which let it finish its batches.

    Args:
        settings: addresses of the services.
        concurrency: pool processes: one per GPU, or one per free core.
        load: opens a pipeline from its document.

    Raises:
        MisconfiguredError: the Celery application would lose or repeat work.
        SystemExit: at the end, with the worker's exit status.
    """
    configure(settings.log_format)
    share_cores(concurrency)
    stop = StopFlag()
    app = make_app(settings)
    tasks = Tasks(settings, stop, load)
    tasks.register(app)
    check_configuration(app)

    watchdog = ConsumerWatchdog(app, settings.silent_seconds)

    def leave(**_: object) -> None:
        stop.set()
        watchdog.stop()

    def keep_our_logging(**_: object) -> None:
        """Do nothing: a receiver of ``setup_logging`` makes Celery leave logging alone."""

    def finish_writing(**_: object) -> None:
        tasks.close()

    signals.setup_logging.connect(keep_our_logging)
    signals.worker_process_shutdown.connect(finish_writing)
    signals.worker_shutting_down.connect(leave)
    # Celery warns root of unpickling; check_configuration has made sure that only JSON is accepted.
    warnings.simplefilter("ignore", SecurityWarning)
    name = f"karyo-{os.getpid()}@{socket.gethostname()}"
    worker = app.Worker(
        hostname=name,
        concurrency=concurrency,
        pool="prefork",
        quiet=True,
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    log.info("worker.started", worker=name, concurrency=concurrency)
    installation = Installation(version("karyoflow"), registry.digests())
    with monitored(settings), send_heartbeats(settings, name, concurrency, installation):
        watchdog.start()
        worker.start()
    log.info("worker.left", worker=name)
    sys.exit(worker.exitcode)
