"""Laboratory of the worker tests: images, worker processes and a scheduler thread."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import func, select

from db import pipelines, queue
from db.engine import SessionFactory, make_engine, make_sessions
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, QcMetrics
from embedded.redis import RedisServer
from models.registry import digest
from scheduler import run
from settings import Settings
from storage import DirectoryStore
from tests.support import null_worker
from worker import make_publisher

SIDE = 64  # px, of every image
SUMMARY_TIMEOUT = 45.0  # s, for everything that a test waits for
FORK_SERVER = multiprocessing.get_context("forkserver")  # imports what a worker needs once, not once per worker
FORK_SERVER.set_forkserver_preload([null_worker.__name__])


def encode_image(value: int | None, seed: int) -> bytes:
    """Return a PNG of one grey value, or without a value one whose first row is random."""
    pixels = np.full((SIDE, SIDE), 200 if value is None else value, np.uint8)
    if value is None:
        pixels[0] = np.random.default_rng(seed).integers(1, 255, SIDE)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Laboratory:
    """Cases, their images, and the processes that analyse them."""

    def __init__(self, settings: Settings, sessions: SessionFactory, store: DirectoryStore, folder: Path) -> None:
        self.settings, self.sessions, self.store = settings, sessions, store
        self._folder = folder
        self.processes: list[BaseProcess] = []
        self._schedulers: list[tuple[threading.Event, threading.Thread]] = []

    def pipeline(self, models: dict[str, str] | None = None, **parameters: Any) -> int:
        """Register a null pipeline; return its id."""
        document = {"name": "null", "code_version": "0", "models": models or {}, "parameters": parameters}
        with self.sessions.begin() as session:
            return pipelines.register(session, document, digest(document))

    def add(
        self, pipeline_id: int, count: int, *, prefix: str = "cell", value: int | None = None, accession: str = "C-1"
    ) -> list[int]:
        """Add images with pending analyses to a case; return their ids."""
        with self.sessions.begin() as session:
            case = session.scalar(select(Case).where(Case.accession == accession)) or Case(accession=accession)
            session.add(case)
            session.flush()
            images = []
            for number in range(count):
                data = encode_image(value, abs(hash(prefix)) % 10**6 + number)
                images.append(
                    Image(
                        sha256=f"{prefix}{number}",
                        object_key=self.store.put(data),
                        case_id=case.id,
                        file_name=f"{prefix}{number}.png",
                        format="PNG",
                        byte_count=len(data),
                        width=SIDE,
                        height=SIDE,
                        bit_depth=8,
                    )
                )
            session.add_all(images)
            session.flush()
            ids = [image.id for image in images]
            queue.enqueue(session, ids, pipeline_id, 1)
        return ids

    def worker(self, **environment: str) -> BaseProcess:
        """Start a worker process."""
        urls = {
            "KARYO_DATABASE_URL": str(self.settings.database_url),
            "KARYO_BROKER_URL": str(self.settings.broker_url),
            "KARYO_OBJECT_STORE": str(self.settings.object_store),
            "KARYO_EMBEDDED": "1",
            "KARYO_LEASE_SECONDS": str(self.settings.lease_seconds),
            "KARYO_RETRY_SECONDS": str(self.settings.retry_seconds),
            "OMP_NUM_THREADS": "1",
        }
        log = self._log_file(len(self.processes))
        log.touch()
        process = FORK_SERVER.Process(target=null_worker.run, args=({**os.environ, **urls, **environment}, log))
        process.start()
        self.processes.append(process)
        return process

    def _log_file(self, number: int) -> Path:
        return self._folder / f"worker{number}.log"

    def log(self) -> str:
        """Return the logs of all workers so far."""
        return "".join(self._log_file(number).read_text() for number in range(len(self.processes)))

    def scheduler(self) -> threading.Event:
        """Start a scheduler in a thread; return the event that stops it."""
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(self.settings, make_publisher(self.settings), stop))
        thread.start()
        self._schedulers.append((stop, thread))
        return stop

    def states(self) -> dict[str, str]:
        """Return the state of every analysis by file name."""
        with self.sessions() as session:
            rows = select(Image.file_name, Analysis.state).join(Analysis, Analysis.image_id == Image.id)
            return dict(session.execute(rows).all())

    def analyses(self) -> list[Analysis]:
        """Return all analyses by id."""
        with self.sessions() as session:
            return list(session.scalars(select(Analysis).order_by(Analysis.id)))

    def case(self) -> CaseResult:
        """Return the only case summary."""
        with self.sessions() as session:
            return session.scalars(select(CaseResult)).one()

    def ended(self) -> bool:
        """Return whether every analysis has ended."""
        return not {"pending", "queued", "running"} & set(self.states().values())

    def summarised(self) -> bool:
        """Return whether every analysis has ended and every case is summarised."""
        with self.sessions() as session:
            cases = session.scalars(select(func.count()).select_from(Case)).one()
            summaries = session.scalars(select(CaseResult.state)).all()
        return self.ended() and summaries == ["done"] * cases

    def wait(self, condition: Callable[[], bool], seconds: float = SUMMARY_TIMEOUT) -> None:
        """Return when ``condition`` holds; fail with states and logs after ``seconds``."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.states()}\n{self.log()[-6000:]}"
            time.sleep(0.05)

    @staticmethod
    def wait_for_exit(process: BaseProcess, seconds: float) -> int:
        """Return the exit status of a worker, or raise ``TimeoutError`` after ``seconds``."""
        process.join(seconds)
        if process.exitcode is None:
            raise TimeoutError
        return process.exitcode

    def assert_each_once(self) -> None:
        """Assert that every done analysis has its rows, once, and that no other has any."""
        with self.sessions() as session:
            done = set(session.scalars(select(Analysis.id).where(Analysis.state == "done")))
            rows = select(Chromosome.analysis_id, func.count()).group_by(Chromosome.analysis_id)
            assert dict(session.execute(rows).all()) == dict.fromkeys(done, 2)
            assert set(session.scalars(select(QcMetrics.analysis_id))) == done

    def close(self) -> None:
        """Stop schedulers and kill workers; to leave takes a worker seconds, and has its own tests."""
        for stop, _ in self._schedulers:
            stop.set()
        for _, thread in self._schedulers:
            thread.join(20)
            assert not thread.is_alive()
        for process in self.processes:
            process.kill()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.join()


@contextmanager
def open_laboratory(postgres_url: str, redis_url: str, folder: Path) -> Iterator[Laboratory]:
    """Open a laboratory without processes, with short leases and time-outs."""
    settings = Settings(
        database_url=postgres_url,
        broker_url=redis_url,
        object_store=(folder / "objects").as_uri(),
        embedded=True,
        chunk_size=4,
        lease_seconds=1.5,
        queued_timeout_seconds=4,
        poll_seconds=0.1,
        retry_seconds=0.2,
    )
    engine = make_engine(postgres_url, application_name="karyo-test")
    laboratory = Laboratory(settings, make_sessions(engine), DirectoryStore(folder / "objects"), folder)
    try:
        yield laboratory
    finally:
        laboratory.close()
        engine.dispose()


@pytest.fixture
def laboratory(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Laboratory]:
    """Laboratory of one test, without processes."""
    with open_laboratory(postgres_url, redis_url, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def standing_laboratory(
    module_postgres_url: str, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    """Laboratory that the tests of a module share, without processes."""
    # A Redis database of its own: its worker takes no message of a test with a laboratory of its own.
    broker = f"{redis_server.url.removesuffix('/0')}/1"
    with open_laboratory(module_postgres_url, broker, tmp_path_factory.mktemp("laboratory")) as opened:
        yield opened
