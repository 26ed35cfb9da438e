"""Measure how long an urgent image waits behind a backlog of 10^5 images, in chunks.

    python -m benchmarks.service.stat_wait [--backlog 100000] [--urgent 12] [--seconds 0.1] [--json FILE] [--plot FILE]

One scheduler and one worker process with a pipeline of ``--seconds`` per image. ``stat`` images arrive one at a time,
at random times, while the backlog is analysed. Their wait is from the commit of the request to the begin of the
analysis, by the database's clock. The duration of a chunk is that of as many images of the backlog. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import func, select

from benchmarks.figures import add_output_options, draw_lines, log_progress, write_json
from benchmarks.service.filling import add_pending
from benchmarks.service.null_worker import encode_image
from benchmarks.service.orchestration import HERE, running, stack_in
from cli.connections import Services
from db import pipelines
from db.schema import Analysis, Priority

WARM_UP_IMAGES = 48
LONGEST_WAIT = 2.0  # chunks


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backlog", type=int, default=10**5)
    parser.add_argument("--urgent", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.1)
    add_output_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="karyo-bench-") as home, stack_in(Path(home)) as found:
        key = found.store.put(encode_image())
        with found.sessions.begin() as session:
            pipeline_id = pipelines.register(session, {"name": "null", "seconds": options.seconds}, "0" * 64)
            add_pending(session, options.backlog, pipeline_id, Priority.BACKLOG, key)
        with running(found, [str(HERE / "null_worker.py")]), running(found, ["-m", "cli.main", "scheduler"]):
            while ended(found) < WARM_UP_IMAGES:
                time.sleep(0.1)
            before, began = ended(found), time.perf_counter()
            waits = []
            for _ in range(options.urgent):
                time.sleep(random.uniform(1, 4))
                waits.append(wait(found, pipeline_id, key))
                log_progress(f"urgent image {len(waits)} of {options.urgent} waited {waits[-1]:.2f} s")
            pace = (time.perf_counter() - began) / (ended(found) - before)
    chunk = pace * found.settings.chunk_size
    print(f"{options.backlog:,} images wait; chunks of {found.settings.chunk_size}, {chunk:.2f} s each\n")
    print("| wait | s | chunks |\n| --- | ---: | ---: |")
    for name, seconds in (("median", statistics.median(waits)), ("longest", max(waits))):
        print(f"| {name} of {options.urgent} | {seconds:.2f} | {seconds / chunk:.2f} |")
    print(f"\nThe longest wait took {max(waits) / chunk:.2f} chunks (bar: under {LONGEST_WAIT:g})")
    write_json(options.json, {"backlog": options.backlog, "chunk seconds": chunk, "waits": waits})
    if options.plot:
        line = [(number, seconds / chunk) for number, seconds in enumerate(sorted(waits), 1)]
        draw_lines(options.plot, "Wait of urgent images", "images, by their wait", "chunks", {"wait": line})


def ended(found: Services) -> int:
    """Return the number of ended analyses."""
    with found.sessions() as session:
        return session.scalars(select(func.count()).where(Analysis.finished_at.is_not(None))).one()


def wait(found: Services, pipeline_id: int, key: str) -> float:
    """Request one urgent image; return the seconds until its analysis began."""
    waited = func.extract("epoch", Analysis.started_at - Analysis.created_at)
    urgent = select(Analysis.state, waited).where(Analysis.priority == Priority.STAT).order_by(Analysis.id.desc())
    with found.sessions.begin() as session:
        add_pending(session, 1, pipeline_id, Priority.STAT, key)
    while True:
        with found.sessions() as session:
            state, seconds = session.execute(urgent.limit(1)).one()
        if state == "done":
            return float(seconds)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
