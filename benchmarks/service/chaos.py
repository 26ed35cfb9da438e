"""Kill parts of the service at random during analyses, and audit the results.

    python -m benchmarks.service.chaos [FOLDER] --images 1000 --every 5

The full embedded stack runs. About every ``--every`` seconds, and only after another image has ended, one fault is
drawn at random: ``kill -9`` of the worker, of a pool process, of the scheduler, of Redis, or ``FLUSHALL``. When half of
the images have ended, PostgreSQL is restarted. Without FOLDER the images are small windows of simulated metaphases.

Prints the verdict as JSON. The exit status is 0 only if nothing was lost, repeated or left over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import redis
from PIL import Image
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from benchmarks.figures import log_progress, write_json
from cli.connections import Services, connect
from cli.shipped_pipeline import promote_shipped_pipeline
from db.engine import SessionFactory
from db.schema import ACTIVE, Analysis, CaseResult, Chromosome, QcMetrics
from db.schema import Image as ImageRow
from embedded import EmbeddedStack
from ingest.batch import ingest
from ingest.sources.folder import FolderSource
from ingest.sources.labels import Labels
from training.simulation import simulate

TIMINGS = {"KARYO_LEASE_SECONDS": "5", "KARYO_QUEUED_TIMEOUT_SECONDS": "10", "KARYO_POLL_SECONDS": "0.5"}
CHUNK_SIZE = "8"
SECONDS_PER_IMAGE = 20.0  # s, for an image with its share of the faults; the run has ten minutes more
PROGRESS_SECONDS = 15.0  # s, between two lines of progress


def main() -> int:
    """Run, audit and print; return 0 if every image is done once."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", nargs="?", type=Path, help="images to analyse; simulated if not given")
    parser.add_argument("--images", type=int, default=300, help="how many to simulate")
    parser.add_argument("--every", type=float, default=5, help="seconds between faults, on average")
    parser.add_argument("--workers", type=int, default=2, help="pool processes")
    parser.add_argument("--timeout", type=float, help="seconds after which the run is a failure")
    parser.add_argument("--home", type=Path, help="keep the stack's state and logs here")
    parser.add_argument("--json", type=Path, help="file for the verdict")
    options = parser.parse_args()
    os.environ.update(TIMINGS | {"KARYO_CHUNK_SIZE": CHUNK_SIZE, "KARYO_LOG_FORMAT": "json"})
    with tempfile.TemporaryDirectory(prefix="karyo-chaos-") as scratch:
        folder = options.folder or simulated(Path(scratch) / "images", options.images)
        verdict = run(folder, options.home or Path(scratch) / "home", options.workers, options.every, options.timeout)
    print(json.dumps(verdict, indent=2))
    write_json(options.json, verdict)
    return 0 if verdict["passed"] else 1


def simulated(folder: Path, images: int) -> Path:
    """Write windows of simulated metaphases, of three or more chromosomes, to ``folder``."""
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in count():
        cell = simulate("46,XY", seed=number)
        middles = [(y + h / 2, x + w / 2) for x, y, w, h in cell.boxes]
        for top, left in rng.permutation([(y, x) for y in range(0, 500, 100) for x in range(0, 700, 100)]):
            inside = [top + 30 < y < top + 170 and left + 30 < x < left + 170 for y, x in middles]
            if sum(inside) >= 3:
                window = cell.pixels[top : top + 200, left : left + 200]
                Image.fromarray(window).save(folder / f"{number:03d}-{top}-{left}.png")
                images -= 1
            if not images:
                return folder
    raise AssertionError("unreachable")


def run(folder: Path, home: Path, workers: int, every: float, timeout: float | None) -> dict[str, Any]:
    """Analyse ``folder`` while parts die; return the audit."""
    with EmbeddedStack(home, workers=workers, scheduler=True) as stack:
        found = connect(stack.settings)
        pipeline_id = promote_shipped_pipeline(found.sessions)
        taken = ingest(found.sessions, found.store, FolderSource(folder, Labels("CHAOS")), pipeline_id=pipeline_id)
        started = time.monotonic()
        limit = timeout or SECONDS_PER_IMAGE * len(taken.image_ids) + 600
        events = FaultInjector(stack, found.sessions, len(taken.image_ids), every).run(started + limit)
        seconds = time.monotonic() - started
        log = "".join(path.read_text() for path in sorted((home / "logs").glob("worker.log*")))
        return {
            "images": len(taken.image_ids),
            "rejected": len(taken.rejected),
            "seconds": round(seconds, 1),
            "events": dict(sorted(events.items())),
            **audit(found, log, len(taken.image_ids)),
        }


class FaultInjector:
    """Injects random faults until every image has ended and the case is summarised."""

    def __init__(self, stack: EmbeddedStack, sessions: SessionFactory, images: int, every: float) -> None:
        self._stack, self._sessions, self._images, self._every = stack, sessions, images, every
        self._rng = random.Random(1)
        self._faults: dict[str, Callable[[], None]] = {
            "kill -9 worker": lambda: self._signal("worker", signal.SIGKILL),
            "kill -9 pool process": self._kill_pool_process,
            "kill -9 scheduler": lambda: self._signal("scheduler", signal.SIGKILL),
            "kill -9 redis": lambda: self._signal("redis", signal.SIGKILL),
            "FLUSHALL": self._flush,
        }

    def run(self, deadline: float) -> Counter[str]:
        """Return how often each fault was injected; raise ``TimeoutError`` at ``deadline``."""
        events: Counter[str] = Counter()
        due, seen, tell_at = 0.0, 0, time.monotonic()
        while not self._query(case_done):
            if time.monotonic() > deadline:
                raise TimeoutError("the images did not end in time")
            time.sleep(0.2)
            now_ended = self._query(ended)
            if time.monotonic() > tell_at:
                log_progress(f"{now_ended} of {self._images} images, {events.total()} faults")
                tell_at += PROGRESS_SECONDS
            if not events["restart postgres"] and now_ended >= self._images / 2:
                self._signal("postgres", signal.SIGINT)
                events["restart postgres"] += 1
            if time.monotonic() < due or now_ended <= seen:
                continue
            fault = self._rng.choice(list(self._faults))
            self._faults[fault]()
            events[fault] += 1
            due, seen = time.monotonic() + self._every * self._rng.uniform(0.5, 1.5), now_ended
        return events

    def _signal(self, name: str, number: signal.Signals) -> None:
        if pid := self._stack.pids.get(name):
            os.kill(pid, number)

    def _kill_pool_process(self) -> None:
        if pid := self._stack.pids.get("worker"):
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(pid).children()[:1]:
                    child.kill()

    def _flush(self) -> None:
        with suppress(redis.ConnectionError), redis.Redis.from_url(str(self._stack.settings.broker_url)) as broker:
            broker.flushall()

    def _query(self, question: Callable[[SessionFactory], int]) -> int:
        """Return an answer of the database, or 0 while it restarts."""
        try:
            return question(self._sessions)
        except OperationalError:
            return 0


def ended(sessions: SessionFactory) -> int:
    """Return the number of ended analyses."""
    with sessions() as session:
        return session.scalars(select(func.count()).where(Analysis.state.not_in(ACTIVE))).one()


def case_done(sessions: SessionFactory) -> bool:
    """Return whether every analysis has ended and every case is summarised."""
    with sessions() as session:
        active = session.scalars(select(func.count()).where(Analysis.state.in_(ACTIVE))).one()
        states = session.scalars(select(CaseResult.state)).all()
    return active == 0 and set(states) == {"done"}


def audit(found: Services, worker_log: str, images: int) -> dict[str, Any]:
    """Check how every image ended, with its attempts, rows, log lines and objects."""
    with found.sessions() as session:
        analyses = session.execute(
            select(Analysis.id, Analysis.image_id, Analysis.state, Analysis.attempts, Analysis.reason, Analysis.error)
        ).all()
        stored = session.scalars(select(func.count()).select_from(ImageRow)).one()
        per_analysis = select(Chromosome.analysis_id, func.count()).group_by(Chromosome.analysis_id)
        rows = dict(session.execute(per_analysis).all())
        counted = dict(session.execute(select(QcMetrics.analysis_id, QcMetrics.chromosome_count)).all())
        leases = session.scalars(select(func.count()).where(Analysis.lease_token.is_not(None))).one()
        artefacts = session.scalars(select(Analysis.artefacts).where(Analysis.artefacts.is_not(None))).all()
        referenced = {key for named in artefacts for key in named.values()}
        referenced |= set(session.scalars(select(ImageRow.object_key)))
        case = session.execute(select(CaseResult.state, CaseResult.image_count, CaseResult.cell_count)).one()
    done = {row.id for row in analyses if row.state == "done"}
    reports = Counter(
        line["analysis"] for line in map(parsed, worker_log.splitlines()) if line.get("event") == "analysis.done"
    )
    stored_keys = set(found.store.keys())
    checks = {
        "one analysis per image": len(analyses) == len({row.image_id for row in analyses}) == stored == images,
        "all done": len(done) == images,
        "results only of what is done": set(counted) == done and set(rows) <= done,
        "as many chromosomes as counted": all(rows.get(key, 0) == counted[key] for key in done & set(counted)),
        "no result reported twice": max(reports.values(), default=0) == 1,
        "no lease is left": leases == 0,
        "every object is there, and no other": stored_keys == referenced,
        "case summarised from all": tuple(case) == ("done", images, len(done)),
    }
    return {
        "states": dict(Counter(row.state for row in analyses)),
        "failures": dict(Counter(f"{row.reason}: {row.error}" for row in analyses if row.reason)),
        "attempts": dict(sorted(Counter(row.attempts for row in analyses).items())),
        "orphan objects": len(stored_keys - referenced),
        "checks": checks,
        "passed": all(checks.values()),
    }


def parsed(line: str) -> dict[str, Any]:
    """Return the fields of a log line; none if a kill cut it or another program wrote it."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


if __name__ == "__main__":
    sys.exit(main())
