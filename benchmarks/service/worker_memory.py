"""Measure the peak memory of a worker's pool process over many images, to detect a leak.

    python -m benchmarks.service.worker_memory [FOLDER] --images 2000 [--json FILE] [--plot FILE]

The full embedded stack with one worker. Without FOLDER the images are windows of simulated metaphases, small so that
there are many of them. The resident memory of the pool process is sampled twice a second. The first tenth, in which
networks and libraries are loaded, is left out. Prints a Markdown table of peaks and the growth; the exit status is 0
only if it is below the bar.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.figures import add_output_options, draw_lines, log_progress, write_json
from benchmarks.service.chaos import PROGRESS_SECONDS, case_done, ended, simulated
from cli.connections import connect
from cli.shipped_pipeline import promote_shipped_pipeline
from embedded import EmbeddedStack
from ingest.batch import ingest
from ingest.sources.folder import FolderSource
from ingest.sources.labels import Labels

PARTS = 10
LARGEST_GROWTH = 0.05  # of the peak, from the first to the second half of the images


def main() -> int:
    """Measure and print; return 0 if memory does not grow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="images to analyse; simulated if not given")
    parser.add_argument("--images", type=int, default=2000, help="how many to simulate")
    add_output_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="karyo-memory-") as scratch:
        folder = options.folder or simulated(Path(scratch) / "images", options.images)
        samples = sampled(folder, Path(scratch) / "home")
    images = max(done for done, _ in samples)
    print("| images | peak MiB |\n| --- | --- |")
    edges = [images * part // PARTS for part in range(PARTS + 1)]
    peaks = [peak(samples, first, last) for first, last in pairwise(edges)]
    for (first, last), most in zip(pairwise(edges), peaks, strict=True):
        print(f"| {first}..{last} | {most:.0f} |")
    growth = peak(samples, images // 2, images) / peak(samples, images // PARTS, images // 2) - 1
    print(f"\nSecond half over first: {growth:+.1%} (bar: under {LARGEST_GROWTH:.0%})")
    write_json(options.json, {"images": images, "growth": growth, "samples": samples})
    if options.plot:
        line = list(zip(edges[1:], peaks, strict=True))
        draw_lines(options.plot, "Memory of a pool process", "images analysed", "peak MiB", {"resident": line})
    return 0 if growth < LARGEST_GROWTH else 1


def sampled(folder: Path, home: Path) -> list[tuple[int, float]]:
    """Sample (ended images, MiB of the pool process) twice a second until all have ended."""
    samples = []
    with EmbeddedStack(home, workers=1, scheduler=True) as stack:
        found = connect(stack.settings)
        pipeline_id = promote_shipped_pipeline(found.sessions)
        ingest(found.sessions, found.store, FolderSource(folder, Labels("MEMORY")), pipeline_id=pipeline_id)
        due = time.monotonic()
        while not case_done(found.sessions):
            stack.check()
            with suppress(psutil.NoSuchProcess, KeyError):
                pool = psutil.Process(stack.pids["worker"]).children()
                samples.append((ended(found.sessions), max((one.memory_info().rss for one in pool), default=0) / 2**20))
            if samples and time.monotonic() > due:
                log_progress(f"{samples[-1][0]} images, {samples[-1][1]:.0f} MiB")
                due += PROGRESS_SECONDS
            time.sleep(0.5)
    return samples


def peak(samples: list[tuple[int, float]], first: int, last: int) -> float:
    """Return the peak MiB while ``first`` to ``last`` images had ended."""
    return max((memory for done, memory in samples if first <= done <= last), default=float("nan"))


if __name__ == "__main__":
    sys.exit(main())
