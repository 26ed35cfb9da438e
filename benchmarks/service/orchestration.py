"""Measure the orchestration cost of one image, next to a plain loop and to plain Celery.

    python -m benchmarks.service.orchestration [--images 10000] [--rounds 1] [--json FILE] [--plot FILE]

The pipeline is null (``null_worker.py``): every contender reads, decodes, stores three objects and records 46
chromosomes per image. The loop keeps its results in memory. Celery keeps counts in Redis, one task per image. karyoflow
runs one scheduler and one worker process and keeps everything in PostgreSQL. Contenders take turns, so that other load
of the machine affects all of them.

Prints a Markdown table of wall and CPU milliseconds per image, in total and of each part, and a verdict.
``TMPDIR=/dev/shm`` removes the disk, on which every contender waits most of the time, from the comparison.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from sqlalchemy import func, select

from benchmarks.figures import add_output_options, draw_bars, log_progress, machine, markdown, write_json
from benchmarks.service.filling import add_pending
from benchmarks.service.null_worker import NullPipeline, analyse_one, encode_image
from cli.connections import Services, connect
from db import pipelines
from db.schema import ACTIVE, Analysis, Priority
from embedded import EmbeddedStack
from models.registry import digest

HERE = Path(__file__).parent
LARGEST_COST = 5.0  # ms of orchestration per image
PROGRESS_SECONDS = 15.0  # s, between two lines of progress
PARTS = {
    "null_worker.py": "worker",
    "bare_celery": "worker",
    "postgres": "PostgreSQL",
    "cli.main scheduler": "scheduler",
    "redis": "Redis",
}
"""Part of the service, by a word of a process's command line."""


class Spent(NamedTuple):
    """Time that a contender took."""

    wall: float
    """Seconds."""
    cpu: Counter[str]
    """CPU seconds by part."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    add_output_options(parser)
    options = parser.parse_args()
    print(f"{machine()}; {options.images} images\n")
    contenders = {"loop": loop, "bare Celery": bare_celery, "karyoflow": karyoflow}
    spent: dict[str, list[Spent]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory(prefix="karyo-bench-") as home, stack_in(Path(home)) as found:
        for number in range(1, options.rounds + 1):
            for name, contender in contenders.items():
                spent[name].append(contender(found, options.images, number))
                log_progress(f"round {number}, {name}: {spent[name][-1].wall:.1f} s")
    report = {name: per_image(rounds, options.images) for name, rounds in spent.items()}
    parts = ("worker", "PostgreSQL", "scheduler", "Redis", "benchmark")
    columns = ("ms per image", "wall", "CPU", *(f"CPU, {part}" for part in parts))
    rows = [(name, *(f"{took.get(key, 0):.2f}" for key in ("wall", "CPU", *parts))) for name, took in report.items()]
    print(markdown(columns, rows))
    overhead = {key: report["karyoflow"][key] - report["loop"][key] for key in ("wall", "CPU")}
    clock, processor = (f"{overhead[key]:+.2f} ms" for key in ("wall", "CPU"))
    print(f"\nMore than the loop: {clock} wall, {processor} CPU (bar: {LARGEST_COST:g})")
    write_json(options.json, {"images": options.images, "rounds": options.rounds, **report, "over loop": overhead})
    if options.plot:
        bars = {name: {part: took[part] for part in parts if part in took} for name, took in report.items()}
        draw_bars(options.plot, "Orchestration of one image", "CPU ms", bars)


def per_image(rounds: list[Spent], images: int) -> dict[str, float]:
    """Return median milliseconds per image: ``wall``, ``CPU``, and the CPU of each part."""
    parts = sorted({part for spent in rounds for part in spent.cpu})
    found = {part: [spent.cpu[part] for spent in rounds] for part in parts}
    found = {"wall": [spent.wall for spent in rounds], "CPU": [spent.cpu.total() for spent in rounds], **found}
    return {name: 1000 * statistics.median(seconds) / images for name, seconds in found.items()}


@contextmanager
def stack_in(home: Path) -> Iterator[Services]:
    """Run database, broker and object store, without workers and schedulers."""
    with EmbeddedStack(home, workers=0, scheduler=False) as stack:
        yield connect(stack.settings)


def loop(found: Services, images: int, number: int) -> Spent:
    """Analyse images in a plain Python loop."""
    pipeline, key = NullPipeline(), found.store.put(encode_image())
    with timed() as spent:
        results = [analyse_one(found.store, pipeline, key, f"loop {number} {image}") for image in range(images)]
    assert len(json.dumps(results)) > images
    return spent()


def bare_celery(found: Services, images: int, number: int) -> Spent:
    """Analyse images with Celery: one task per image, one process, results in Redis."""
    os.environ.update(addresses(found))
    from benchmarks.service.bare_celery import analyse, app  # noqa: PLC0415 - it reads the addresses

    key = found.store.put(encode_image())
    words = [
        "-m",
        "celery",
        "-A",
        "benchmarks.service.bare_celery",
        "worker",
        "--concurrency=1",
        "-Q",
        "bare",
        "--loglevel=WARNING",
    ]
    with running(found, words, cwd=HERE.parents[1]):
        analyse.delay(key, f"warm-up {number}").get(timeout=60)
        with timed() as spent:
            sent = [analyse.delay(key, f"celery {number} {image}") for image in range(images)]
            assert all(one.get(timeout=600)["iscn"] for one in sent)
        taken = spent()
    app.close()
    return taken


def karyoflow(found: Services, images: int, number: int) -> Spent:
    """Analyse images with a scheduler and a worker of one process."""
    key = found.store.put(encode_image())
    document = {"name": "null", "round": number}
    with found.sessions.begin() as session:
        pipeline_id = pipelines.register(session, document, digest(document))
        add_pending(session, 8, pipeline_id, Priority.ROUTINE, key)
    with running(found, [str(HERE / "null_worker.py")]), running(found, ["-m", "cli.main", "scheduler"]):
        wait(found, pipeline_id)
        with timed() as spent:
            with found.sessions.begin() as session:
                add_pending(session, images, pipeline_id, Priority.ROUTINE, key)
            wait(found, pipeline_id)
        return spent()


def wait(found: Services, pipeline_id: int) -> None:
    """Return when every analysis has ended; all must be done."""
    of_pipeline = Analysis.pipeline_id == pipeline_id
    active = select(of_pipeline).where(of_pipeline, Analysis.state.in_(ACTIVE)).limit(1)
    states = select(Analysis.state, func.count()).where(of_pipeline).group_by(Analysis.state)
    due = time.monotonic() + PROGRESS_SECONDS
    while True:
        with found.sessions() as session:
            if not session.scalar(active):
                counted = dict(session.execute(states).all())
                assert set(counted) == {"done"}, counted
                return
            if time.monotonic() > due:
                log_progress(f"  {dict(session.execute(states).all())}")
                due += PROGRESS_SECONDS
        time.sleep(0.1)


def addresses(found: Services) -> dict[str, str]:
    """Return the environment of a process of the stack."""
    names = ("database_url", "broker_url", "object_store", "home")
    return {f"KARYO_{name.upper()}": str(getattr(found.settings, name)) for name in names} | {"KARYO_EMBEDDED": "1"}


@contextmanager
def running(found: Services, words: list[str], cwd: Path | None = None) -> Iterator[None]:
    """Run a Python process of the stack during the block."""
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
def timed() -> Iterator[Callable[[], Spent]]:
    """Measure the block: wall time, and CPU time by part."""
    began, before = time.perf_counter(), _cpu()
    spent = Spent(0.0, Counter())
    yield lambda: spent
    spent = Spent(time.perf_counter() - began, _cpu() - before)


def _cpu() -> Counter[str]:
    """Return the CPU seconds so far of this process and its descendants, by part."""
    total: Counter[str] = Counter()
    for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times, words = process.cpu_times(), " ".join(process.cmdline())
            own = process.pid == os.getpid()
            part = "benchmark" if own else next((part for mark, part in PARTS.items() if mark in words), "others")
            total[part] += times.user + times.system
            if not own:
                total[part] += times.children_user + times.children_system
    return total


if __name__ == "__main__":
    main()
