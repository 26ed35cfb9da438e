"""What one image costs beside its science, beside a plain loop and bare Celery with a result backend.

    python benchmarks/orchestration.py [--images 2000] [--rounds 2]

The engine is null (``null_worker.py``): every contender reads, decodes, stores three objects and has 46 chromosomes to
record per image. The loop keeps its results in memory; Celery keeps counts in Redis, one task per image; karyoflow
runs one scheduler and one worker process and keeps everything in PostgreSQL. Contenders take turns, so that whatever
else the machine does hits all alike. Prints a Markdown table: wall and CPU milliseconds per image, the CPU of all
processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from filling import fill
from null_worker import NullPipeline, alone, picture
from sqlalchemy import func, select

from cli.embedded import EmbeddedStack
from cli.services import Services, connect
from db import pipelines
from db.schema import ACTIVE, PRIORITIES, Analysis
from models.registry import digest

HERE = Path(__file__).parent


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    print("| round | | wall, ms per image | CPU, ms per image |\n| --- | --- | ---: | ---: |")
    contenders = {"loop": loop, "bare Celery": bare_celery, "karyoflow": karyoflow}
    with tempfile.TemporaryDirectory(prefix="karyo-bench-") as home, stack_in(Path(home)) as found:
        for number in range(1, options.rounds + 1):
            for name, contender in contenders.items():
                wall, cpu = contender(found, options.images, number)
                cells = (f"{1000 * seconds / options.images:.2f}" for seconds in (wall, cpu))
                print(f"| {number} | {name} | {' | '.join(cells)} |", flush=True)


@contextmanager
def stack_in(home: Path) -> Iterator[Services]:
    """Database, broker and object store, and nobody who works."""
    with EmbeddedStack(home, workers=0, scheduler=False) as stack:
        yield connect(stack.settings)


def loop(found: Services, images: int, number: int) -> tuple[float, float]:
    """A plain Python loop."""
    pipeline, key = NullPipeline(), found.store.put(picture())
    with timed() as spent:
        results = [alone(found.store, pipeline, key, f"loop {number} {image}") for image in range(images)]
    assert len(json.dumps(results)) > images
    return spent()


def bare_celery(found: Services, images: int, number: int) -> tuple[float, float]:
    """One task per image, one process, results in Redis."""
    os.environ.update(addresses(found))
    from bare_celery import analyse, app  # noqa: PLC0415 - it reads the addresses

    key = found.store.put(picture())
    words = ["-m", "celery", "-A", "bare_celery", "worker", "--concurrency=1", "-Q", "bare", "--loglevel=WARNING"]
    with running(found, words, cwd=HERE):
        analyse.delay(key, f"warm-up {number}").get(timeout=60)
        with timed() as spent:
            sent = [analyse.delay(key, f"celery {number} {image}") for image in range(images)]
            assert all(one.get(timeout=600)["iscn"] for one in sent)
        taken = spent()
    app.close()
    return taken


def karyoflow(found: Services, images: int, number: int) -> tuple[float, float]:
    """A scheduler and a worker of one process."""
    key = found.store.put(picture())
    document = {"name": "null", "round": number}
    with found.sessions.begin() as session:
        pipeline_id = pipelines.register(session, document, digest(document))
        fill(session, 8, pipeline_id, PRIORITIES["routine"], key)
    with running(found, [str(HERE / "null_worker.py")]), running(found, ["-m", "cli.main", "scheduler"]):
        wait(found, pipeline_id)
        with timed() as spent:
            with found.sessions.begin() as session:
                fill(session, images, pipeline_id, PRIORITIES["routine"], key)
            wait(found, pipeline_id)
        return spent()


def wait(found: Services, pipeline_id: int) -> None:
    """Until every analysis has ended; all must be done."""
    states = select(Analysis.state, func.count()).where(Analysis.pipeline_id == pipeline_id).group_by(Analysis.state)
    while True:
        with found.sessions() as session:
            counted = dict(session.execute(states).all())
        if not set(counted) & set(ACTIVE):
            assert set(counted) == {"done"}, counted
            return
        time.sleep(0.1)


def addresses(found: Services) -> dict[str, str]:
    """The environment of a process of the stack."""
    names = ("database_url", "broker_url", "object_store", "home")
    return {f"KARYO_{name.upper()}": str(getattr(found.settings, name)) for name in names} | {"KARYO_EMBEDDED": "1"}


@contextmanager
def running(found: Services, words: list[str], cwd: Path | None = None) -> Iterator[None]:
    """A Python process of the stack, stopped at the end."""
    environment = os.environ | addresses(found)
    process = subprocess.Popen(
        [sys.executable, *words], env=environment, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def timed() -> Iterator[Callable[[], tuple[float, float]]]:
    """Wall and CPU seconds of the block, of this process and all below it."""
    began, cpu = time.perf_counter(), _cpu()
    spent = [0.0, 0.0]
    yield lambda: (spent[0], spent[1])
    spent[:] = time.perf_counter() - began, _cpu() - cpu


def _cpu() -> float:
    total = 0.0
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        times = process.cpu_times()
        total += times.user + times.system
        if process.pid != os.getpid():
            total += times.children_user + times.children_system
    return total


if __name__ == "__main__":
    main()
