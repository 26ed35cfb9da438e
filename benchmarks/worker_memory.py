"""Peak memory of a worker's pool process over many images: does the second half need more than the first?

    python benchmarks/worker_memory.py [FOLDER] --images 2000

The full embedded stack with one worker. Without FOLDER the images are windows of simulated metaphases, small so that
there are many of them. The resident memory of the pool process is sampled twice a second. The first tenth, in which
networks and libraries are loaded, is left out. Prints a Markdown table of peaks and the growth.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from chaos import case_done, ended, simulated

from cli.embedded import EmbeddedStack
from cli.services import connect, promote_shipped_pipeline
from ingest import ingest_folder

PARTS = 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="images to analyse; simulated if not given")
    parser.add_argument("--images", type=int, default=2000, help="how many to simulate")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="karyo-memory-") as scratch:
        folder = options.folder or simulated(Path(scratch) / "images", options.images)
        samples = sampled(folder, Path(scratch) / "home")
    images = max(done for done, _ in samples)
    print("| images | peak MiB |\n| --- | --- |")
    for part in range(PARTS):
        first, last = images * part // PARTS, images * (part + 1) // PARTS
        print(f"| {first}..{last} | {peak(samples, first, last):.0f} |")
    before, after = peak(samples, images // PARTS, images // 2), peak(samples, images // 2, images)
    print(f"\nSecond half over first: {after / before - 1:+.1%}")


def sampled(folder: Path, home: Path) -> list[tuple[int, float]]:
    """(images ended, MiB of the pool process), twice a second until all have ended."""
    samples = []
    with EmbeddedStack(home, workers=1, scheduler=True) as stack:
        found = connect(stack.settings)
        pipeline_id = promote_shipped_pipeline(found)
        ingest_folder(found.sessions, found.store, folder, pipeline_id=pipeline_id, case="MEMORY")
        while not case_done(found.sessions):
            pool = psutil.Process(stack.pids["worker"]).children()
            samples.append((ended(found.sessions), max((one.memory_info().rss for one in pool), default=0) / 2**20))
            time.sleep(0.5)
    return samples


def peak(samples: list[tuple[int, float]], first: int, last: int) -> float:
    """Most MiB while from ``first`` to ``last`` images had ended."""
    return max((memory for done, memory in samples if first <= done <= last), default=float("nan"))


if __name__ == "__main__":
    main()
