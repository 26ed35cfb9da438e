"""Measure a claim of the next chunk with 10^3, 10^5 or 10^6 pending images.

    python -m benchmarks.service.dispatcher [--depths 1000 100000 1000000] [--claims 100] [--json FILE] [--plot FILE]

Prints a Markdown table. Every claim takes the 8 images that are due next, as the dispatcher does, and commits. Its
images end before the next claim, untimed, so that the table ages as in production. One round claims once at every
depth, so that other load of the machine affects all depths. CPU is that of this process and of its PostgreSQL backend.
"Without" is one claim after the index is dropped.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from sqlalchemy import make_url, text, update

from benchmarks.figures import add_output_options, draw_lines, log_progress, write_json
from benchmarks.service.filling import LABS, add_pending
from db import migrate, pipelines, queue
from db.engine import make_engine, make_sessions
from db.schema import Analysis, Priority
from embedded import EmbeddedStack
from settings import Settings

CHUNK = 8  # images
LARGEST_RATIO = 2.0  # CPU of the most over the least expensive depth
BACKLOG = Priority.BACKLOG


class Depth:
    """Database with a number of pending images, and the durations of its claims."""

    def __init__(self, settings: Settings, images: int) -> None:
        url = make_url(str(settings.database_url))
        name = f"depth_{images}"
        engine = make_engine(str(settings.database_url)).execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        address = url.set(database=name).render_as_string(hide_password=False)
        migrate.upgrade(address)
        self.images = images
        self._engine = make_engine(address, pool_size=1, statement_timeout_seconds=900)
        self._sessions = make_sessions(self._engine)
        with self._sessions.begin() as session:
            add_pending(session, images, pipelines.register(session, {"name": "null"}, "0" * 64), BACKLOG)
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))
        self.seconds: list[float] = []
        self.cpu_seconds: list[float] = []

    def claim(self) -> None:
        """Claim a chunk, timed, and end its images, untimed."""
        with self._sessions() as session:
            server = psutil.Process(session.scalars(text("SELECT pg_backend_pid()")).one())
        cpu, began = _cpu(server), time.perf_counter()
        with self._sessions.begin() as session:
            claimed = queue.claim(session, BACKLOG, CHUNK, CHUNK)
        self.seconds.append(time.perf_counter() - began)
        self.cpu_seconds.append(_cpu(server) - cpu)
        assert len(claimed) == CHUNK, "too few images wait for so many claims"
        ended = update(Analysis).where(Analysis.id.in_([analysis_id for analysis_id, _ in claimed]))
        with self._sessions.begin() as session:
            session.execute(ended.values(state="failed", reason="bench", finished_at=text("now()")))

    def drop_index(self) -> None:
        """Drop the index of pending images."""
        with self._sessions.begin() as session:
            session.execute(text("DROP INDEX karyo.ix_analyses_ready"))

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


def _cpu(server: psutil.Process) -> float:
    times = server.cpu_times()
    return time.process_time() + float(times.user + times.system)


def main() -> None:
    """Fill the databases, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--depths", type=int, nargs="+", default=[10**3, 10**5, 10**6])
    parser.add_argument("--claims", type=int, default=100)
    add_output_options(parser)
    options = parser.parse_args()
    measured = []
    with tempfile.TemporaryDirectory(prefix="karyo-bench-") as home, ExitStack() as exits:
        stack = exits.enter_context(EmbeddedStack(Path(home), workers=0, scheduler=False))
        depths = []
        for images in options.depths:
            log_progress(f"filling {images:,}")
            depths.append(Depth(stack.settings, images))
        for depth in depths:
            exits.callback(depth.close)
        for _ in range(options.claims):
            for depth in depths:
                depth.claim()
        print(f"{LABS} laboratories, {options.claims} claims of {CHUNK}\n")
        print("| images that wait | median, ms | CPU, ms | without the index, ms |\n| ---: | ---: | ---: | ---: |")
        for depth in depths:
            median, cpu = statistics.median(depth.seconds), statistics.mean(depth.cpu_seconds)
            depth.drop_index()
            depth.claim()
            cells = (f"{1000 * seconds:.1f}" for seconds in (median, cpu, depth.seconds[-1]))
            print(f"| {depth.images:,} | {' | '.join(cells)} |", flush=True)
            measured.append({"images": depth.images, "median": median, "CPU": cpu, "without": depth.seconds[-1]})
    flat = max(one["CPU"] for one in measured) / min(one["CPU"] for one in measured)
    print(f"\nThe most expensive depth costs {flat:.2f} times the CPU of the least expensive (bar: {LARGEST_RATIO:g})")
    write_json(options.json, {"claims": options.claims, "depths": measured, "dearest over cheapest": flat})
    if options.plot:
        lines = {name: [(one["images"], 1000 * one[name]) for one in measured] for name in ("median", "CPU")}
        draw_lines(options.plot, "Claim of the next chunk", "images that wait", "ms", lines)


if __name__ == "__main__":
    main()
