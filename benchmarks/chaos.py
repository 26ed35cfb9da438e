"""Kill everything that may be killed while images are analysed, then audit: each image done, each once.

``python benchmarks/chaos.py [FOLDER] --images 300``: the full embedded stack; ``kill -9`` of the worker three times, of
the scheduler once, and one ``FLUSHALL`` of Redis, spread over the run. Without FOLDER the images are simulated. Prints
the verdict as JSON; the exit status is 0 only if nothing was lost and nothing repeated.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import func, select

from cli.embedded import EmbeddedStack
from cli.services import connect, promote_shipped_pipeline
from db.engine import SessionFactory
from db.schema import ACTIVE, Analysis, CaseResult, Chromosome, Image, QcMetrics
from ingest import ingest_folder
from training.simulation import write_dataset

TIMINGS = {"KARYO_LEASE_SECONDS": "5", "KARYO_QUEUED_TIMEOUT_SECONDS": "10", "KARYO_POLL_SECONDS": "0.5"}
CHUNK_SIZE = "4"


def main() -> int:
    """Run, audit, print; 0 if every image is done, each once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="images to analyse; simulated if not given")
    parser.add_argument("--images", type=int, default=300, help="how many to simulate")
    parser.add_argument("--workers", type=int, default=2, help="pool processes")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds after which the run is a failure")
    parser.add_argument("--home", type=Path, help="keep the stack's state and logs here")
    options = parser.parse_args()
    os.environ.update(TIMINGS | {"KARYO_CHUNK_SIZE": CHUNK_SIZE, "KARYO_LOG_FORMAT": "json"})
    with tempfile.TemporaryDirectory(prefix="karyo-chaos-") as scratch:
        folder = options.folder or simulated(Path(scratch) / "images", options.images)
        verdict = run(folder, options.home or Path(scratch) / "home", options.workers, options.timeout)
    print(json.dumps(verdict, indent=2))
    return 0 if verdict["passed"] else 1


def simulated(folder: Path, images: int) -> Path:
    """A folder with that many simulated metaphases of one case."""
    write_dataset(folder, {"CHAOS": "46,XY"}, cells_per_case=images, seed=1, contrast="bright_field")
    return folder


def run(folder: Path, home: Path, workers: int, timeout: float) -> dict[str, Any]:
    """Analyse ``folder`` while parts die; the audit."""
    with EmbeddedStack(home, workers=workers, scheduler=True) as stack:
        found = connect(stack.settings)
        pipeline_id = promote_shipped_pipeline(found)
        taken = ingest_folder(found.sessions, found.store, folder, pipeline_id=pipeline_id, case="CHAOS")
        started = time.monotonic()
        events = disturb(stack, found.sessions, len(taken.image_ids), started + timeout)
        wait_until(lambda: case_done(found.sessions), started + timeout)
        seconds = time.monotonic() - started
        log = stack.log_paths["worker"].read_text()
        return {
            "images": len(taken.image_ids),
            "rejected": len(taken.rejected),
            "seconds": round(seconds, 1),
            "events": events,
            **audit(found.sessions, log, len(taken.image_ids)),
        }


def disturb(stack: EmbeddedStack, sessions: SessionFactory, images: int, deadline: float) -> list[dict[str, Any]]:
    """Kill and flush when a sixth, two sixths ... of the images have ended; what was done when."""

    def kill(name: str) -> None:
        wait_until(lambda: name in stack.pids, deadline)
        os.kill(stack.pids[name], signal.SIGKILL)

    def flush() -> None:
        with redis.Redis.from_url(str(stack.settings.broker_url)) as broker:
            broker.flushall()

    acts: list[tuple[str, Callable[[], None]]] = [
        ("kill -9 worker", lambda: kill("worker")),
        ("kill -9 scheduler", lambda: kill("scheduler")),
        ("kill -9 worker", lambda: kill("worker")),
        ("FLUSHALL", flush),
        ("kill -9 worker", lambda: kill("worker")),
    ]
    events = []
    for number, (what, act) in enumerate(acts, start=1):
        goal = images * number // (len(acts) + 1)
        wait_until(lambda goal=goal: ended(sessions) >= goal, deadline)  # type: ignore[misc]
        act()
        events.append({"event": what, "images_ended": ended(sessions)})
    return events


def ended(sessions: SessionFactory) -> int:
    """Analyses that have ended."""
    with sessions() as session:
        return session.scalars(select(func.count()).where(Analysis.state.not_in(ACTIVE))).one()


def case_done(sessions: SessionFactory) -> bool:
    """Whether every analysis has ended and every case is summarised."""
    with sessions() as session:
        active = session.scalars(select(func.count()).where(Analysis.state.in_(ACTIVE))).one()
        states = session.scalars(select(CaseResult.state)).all()
    return active == 0 and set(states) == {"done"}


def wait_until(what: Callable[[], bool], deadline: float) -> None:
    """Wait for ``what``; ``TimeoutError`` at ``deadline``."""
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError("the images did not end in time")
        time.sleep(0.1)


def audit(sessions: SessionFactory, worker_log: str, images: int) -> dict[str, Any]:
    """What PostgreSQL and the worker's log say: how every image ended, its attempts, its rows, its reports."""
    with sessions() as session:
        analyses = session.execute(
            select(Analysis.id, Analysis.image_id, Analysis.state, Analysis.attempts, Analysis.reason, Analysis.error)
        ).all()
        stored = session.scalars(select(func.count()).select_from(Image)).one()
        per_analysis = select(Chromosome.analysis_id, func.count()).group_by(Chromosome.analysis_id)
        rows = dict(session.execute(per_analysis).all())
        counted = dict(session.execute(select(QcMetrics.analysis_id, QcMetrics.chromosome_count)).all())
        case = session.execute(select(CaseResult.state, CaseResult.image_count, CaseResult.cell_count)).one()
    done = {row.id for row in analyses if row.state == "done"}
    reports = Counter(
        line["analysis"] for line in map(parsed, worker_log.splitlines()) if line.get("event") == "image done"
    )
    checks = {
        "one analysis per image": len(analyses) == len({row.image_id for row in analyses}) == stored == images,
        "all done": len(done) == images,
        "results only of what is done": set(counted) == done and set(rows) <= done,
        "as many chromosomes as counted": all(rows.get(key, 0) == counted[key] for key in done & set(counted)),
        "no result reported twice": max(reports.values(), default=0) == 1,
        "case summarised from all": tuple(case) == ("done", images, len(done)),
    }
    return {
        "states": dict(Counter(row.state for row in analyses)),
        "failures": dict(Counter(f"{row.reason}: {row.error}" for row in analyses if row.reason)),
        "attempts": dict(sorted(Counter(row.attempts for row in analyses).items())),
        "checks": checks,
        "passed": all(checks.values()),
    }


def parsed(line: str) -> dict[str, Any]:
    """A log line, empty if it is none of ours or was cut by a kill."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
