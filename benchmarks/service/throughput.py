"""Measure the throughput of the whole stack and of a loop like `karyo analyse`.

    python -m benchmarks.service.throughput [FOLDER] [--images 300] [--rounds 2] [--processes N]
        [--json FILE] [--plot FILE]

FOLDER defaults to the metaphase images of $KARYO_TEST_DATA. In each round the loop and the stack analyse all images in
turn, after a warm-up, so that other load of the machine affects both. The loop reads, decodes, analyses and makes rows.
The stack also fetches, draws and stores three artefacts, and renews leases. Its time is from the first attempt to the
last commit. CPU seconds are those of all processes of the stack. Prints a Markdown table and a verdict.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import delete, func, select

from benchmarks.figures import add_output_options, draw_bars, log_progress, write_json
from cli.connections import Services, connect
from cli.shipped_pipeline import promote_shipped_pipeline
from db import pipelines, queue
from db.schema import ACTIVE, Analysis
from embedded import EmbeddedStack
from ingest.batch import ingest
from ingest.sources.folder import FolderSource, image_files
from ingest.sources.labels import Labels
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Pipeline
from karyotyping.rows import chromosome_rows, quality_row
from models.providers import default_processes
from models.registry import digest

WAYS = ("loop", "stack")
SMALLEST_SHARE = 0.9  # images per second of the stack, relative to the loop


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    data = Path(os.environ.get("KARYO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    parser.add_argument("folder", nargs="?", type=Path, default=data / "adir" / "images")
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--processes", type=int, default=default_processes(), help="of the worker")
    parser.add_argument("--home", type=Path, help="keep the stack's state and logs here")
    add_output_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="karyo-throughput-") as scratch:
        folder = Path(scratch) / "images"
        folder.mkdir()
        for file in image_files(options.folder)[: options.images]:
            shutil.copy(file.path, folder)
        with EmbeddedStack(options.home or Path(scratch) / "home", workers=options.processes, scheduler=True) as stack:
            rounds = measure(connect(stack.settings), folder, options.rounds)
    share = statistics.median(one["stack"] / one["loop"] for one in rounds)
    print(f"\nThe stack does {share:.0%} of the loop's images (bar: {SMALLEST_SHARE:.0%})")
    write_json(options.json, {"images": options.images, "rounds": rounds, "share": share})
    if options.plot:
        bars = {
            f"round {number}, {way}": {"images/s": one[way]} for number, one in enumerate(rounds, 1) for way in WAYS
        }
        draw_bars(options.plot, "Throughput of the stack and of a loop", "images/s", bars)


def measure(found: Services, folder: Path, rounds: int) -> list[dict[str, float]]:
    """Measure loop and stack in turn; print and return the figures of every round."""
    measured = []
    shipped = promote_shipped_pipeline(found.sessions)
    image_ids = ingest(
        found.sessions, found.store, FolderSource(folder, Labels("BENCHMARK")), pipeline_id=shipped
    ).image_ids
    warm_up(found)
    pipeline = Pipeline.default()
    files = sorted(folder.iterdir())
    analyse(pipeline, files[:2])
    print("| round | images/s, loop | images/s, stack | stack / loop | CPU s/image, loop | CPU s/image, stack |")
    print("| --- | --- | --- | --- | --- | --- |")
    for number in range(1, rounds + 1):
        cpu, began = own_cpu(), time.perf_counter()
        log_progress(f"round {number}: the loop over {len(files)} images")
        analyse(pipeline, files)
        loop, loop_cpu = len(files) / (time.perf_counter() - began), (own_cpu() - cpu) / len(files)
        log_progress(f"round {number}: the stack, after a loop of {loop:.2f} images/s")
        before = stack_cpu()
        seconds = through_the_stack(found, image_ids, pipeline, number)
        stack, of_stack = len(image_ids) / seconds, (stack_cpu() - before) / len(image_ids)
        print(
            f"| {number} | {loop:.2f} | {stack:.2f} | {stack / loop:.0%} | {loop_cpu:.2f} | {of_stack:.2f} |",
            flush=True,
        )
        measured.append({"loop": loop, "stack": stack, "loop CPU": loop_cpu, "stack CPU": of_stack})
    return measured


def warm_up(found: Services) -> None:
    """Let the worker analyse an image, and delete the other pending analyses."""
    while not count(found, Analysis.state == "done"):
        time.sleep(0.1)
    with found.sessions.begin() as session:
        session.execute(delete(Analysis).where(Analysis.state.in_(("pending", "queued"))))
    while count(found, Analysis.state.in_(ACTIVE)):
        time.sleep(0.1)


def count(found: Services, *where: Any) -> int:
    """Return the number of analyses that meet conditions."""
    with found.sessions() as session:
        return session.scalars(select(func.count()).select_from(Analysis).where(*where)).one()


def analyse(pipeline: Pipeline, files: list[Path]) -> None:
    """Analyse files in a loop, like `karyo analyse`."""
    for file in files:
        try:
            cell = pipeline.analyse(decode(file.read_bytes()).pixels)
        except AnalysisError:
            continue
        chromosome_rows(cell), quality_row(cell)


def through_the_stack(found: Services, image_ids: list[int], pipeline: Pipeline, number: int) -> float:
    """Return the seconds from the first attempt to the last commit of a new pipeline version."""
    document = {**pipeline.document, "round": number}
    with found.sessions.begin() as session:
        pipeline_id = pipelines.register(session, document, digest(document))
        queue.enqueue(session, image_ids, pipeline_id, 1)
    while count(found, Analysis.pipeline_id == pipeline_id, Analysis.state.in_(ACTIVE)):
        time.sleep(0.2)
    span = func.extract("epoch", func.max(Analysis.finished_at) - func.min(Analysis.started_at))
    with found.sessions() as session:
        done = session.scalars(
            select(func.count()).where(Analysis.pipeline_id == pipeline_id, Analysis.state == "done")
        ).one()
        if done < len(image_ids):
            print(f"{len(image_ids) - done} images were not analysed")
        return float(session.scalars(select(span).where(Analysis.pipeline_id == pipeline_id)).one())


def own_cpu() -> float:
    """Return the CPU seconds of this process."""
    times = psutil.Process().cpu_times()
    return times.user + times.system


def stack_cpu() -> float:
    """Return the CPU seconds of all descendants of this process, ended ones included."""
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
    return total


if __name__ == "__main__":
    main()
