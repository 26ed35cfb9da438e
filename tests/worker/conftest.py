"""A small laboratory: images in a store and a database, worker processes, and a scheduler in a thread."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from sqlalchemy import func, select

from db import pipelines, queue
from db.engine import SessionFactory, make_engine, make_sessions
from db.schema import Analysis, Case, CaseResult, Chromosome, Image, QcMetrics
from models.registry import digest
from scheduler import run
from settings import Settings
from storage import DirectoryStore
from worker import publisher

NULL_WORKER = Path(__file__).with_name("null_worker.py")


def png(value: int | None, seed: int) -> bytes:
    """A picture of one grey value, or of one that differs from all others."""
    pixels = np.full((64, 64), 200 if value is None else value, np.uint8)
    if value is None:
        pixels[0] = np.random.default_rng(seed).integers(1, 255, 64)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Laboratory:
    """One case, its images, and the processes that analyse them."""

    def __init__(self, settings: Settings, sessions: SessionFactory, store: DirectoryStore, folder: Path) -> None:
        self.settings, self.sessions, self.store = settings, sessions, store
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self._schedulers: list[tuple[threading.Event, threading.Thread]] = []

    def pipeline(self, models: dict[str, str] | None = None, **parameters: Any) -> int:
        document = {"name": "null", "code_version": "0", "models": models or {}, "parameters": parameters}
        with self.sessions.begin() as session:
            return pipelines.register(session, document, digest(document))

    def add(
        self, pipeline_id: int, count: int, *, prefix: str = "cell", value: int | None = None, accession: str = "C-1"
    ) -> list[int]:
        """Ids of ``count`` new images of a case, pending."""
        with self.sessions.begin() as session:
            case = session.scalar(select(Case).where(Case.accession == accession)) or Case(accession=accession)
            session.add(case)
            session.flush()
            images = []
            for number in range(count):
                data = png(value, abs(hash(prefix)) % 10**6 + number)
                key = self.store.put(data)
                images.append(
                    Image(
                        sha256=f"{prefix}{number}",
                        object_key=key,
                        case_id=case.id,
                        file_name=f"{prefix}{number}.png",
                        format="PNG",
                        byte_count=len(data),
                        width=64,
                        height=64,
                        bit_depth=8,
                    )
                )
            session.add_all(images)
            session.flush()
            ids = [image.id for image in images]
            queue.enqueue(session, ids, pipeline_id, 1)
        return ids

    def worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """A worker process of its own."""
        urls = {
            "KARYO_DATABASE_URL": str(self.settings.database_url),
            "KARYO_BROKER_URL": str(self.settings.broker_url),
            "KARYO_OBJECT_STORE": str(self.settings.object_store),
            "KARYO_EMBEDDED": "1",
            "KARYO_LEASE_SECONDS": str(self.settings.lease_seconds),
            "KARYO_RETRY_SECONDS": str(self.settings.retry_seconds),
            "OMP_NUM_THREADS": "1",
        }
        with self._log(len(self.processes)).open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, NULL_WORKER],
                env={**os.environ, **urls, **environment},
                stderr=log,
                stdout=log,
                cwd=Path(__file__).parents[2],
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def _log(self, number: int) -> Path:
        return self._folder / f"worker{number}.log"

    def log(self) -> str:
        return "".join(self._log(number).read_text() for number in range(len(self.processes)))

    def scheduler(self) -> threading.Event:
        """A scheduler in a thread; set the event to stop it."""
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(self.settings, publisher(self.settings), stop))
        thread.start()
        self._schedulers.append((stop, thread))
        return stop

    def states(self) -> dict[str, str]:
        """State by file name."""
        with self.sessions() as session:
            found = select(Image.file_name, Analysis.state).join(Analysis, Analysis.image_id == Image.id)
            return dict(session.execute(found).all())

    def analyses(self) -> list[Analysis]:
        with self.sessions() as session:
            return list(session.scalars(select(Analysis).order_by(Analysis.id)))

    def case(self) -> CaseResult:
        with self.sessions() as session:
            return session.scalars(select(CaseResult)).one()

    def summarised(self) -> bool:
        """Whether all has ended and every case is summarised."""
        with self.sessions() as session:
            cases = session.scalars(select(func.count()).select_from(Case)).one()
            summaries = session.scalars(select(CaseResult.state)).all()
        return self.ended() and summaries == ["done"] * cases

    def wait(self, what: Callable[[], bool], seconds: float = 45) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, f"{self.states()}\n{self.log()[-6000:]}"
            time.sleep(0.05)

    @staticmethod
    def wait_for_exit(process: subprocess.Popen[bytes], seconds: float) -> int:
        """Exit status; ``TimeoutError`` if it still runs."""
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError from None

    def ended(self) -> bool:
        return not {"pending", "queued", "running"} & set(self.states().values())

    def assert_each_once(self) -> None:
        """Every analysis that is done has its rows, once, and nothing else has any."""
        with self.sessions() as session:
            done = set(session.scalars(select(Analysis.id).where(Analysis.state == "done")))
            rows = select(Chromosome.analysis_id, func.count()).group_by(Chromosome.analysis_id)
            assert dict(session.execute(rows).all()) == dict.fromkeys(done, 2)
            assert set(session.scalars(select(QcMetrics.analysis_id))) == done

    def close(self) -> None:
        for stop, _ in self._schedulers:
            stop.set()
        for _, thread in self._schedulers:
            thread.join(20)
            assert not thread.is_alive()
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _laboratory(postgres_url: str, redis_url: str, folder: Path) -> Iterator[Laboratory]:
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
    made = Laboratory(settings, make_sessions(engine), DirectoryStore(folder / "objects"), folder)
    try:
        yield made
    finally:
        made.close()
        engine.dispose()


@pytest.fixture
def laboratory(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Laboratory]:
    """A laboratory of one test's own, without a process yet."""
    with _laboratory(postgres_url, redis_url, tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def standing_laboratory(
    module_postgres_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Laboratory]:
    """A laboratory that the tests of a module share, without a process yet."""
    # Its worker takes no message that is meant for the worker of a test that has a laboratory of its own.
    broker = f"{redis_server.removesuffix('/0')}/1"
    with _laboratory(module_postgres_url, broker, tmp_path_factory.mktemp("laboratory")) as made:
        yield made
