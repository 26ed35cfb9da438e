"""Cases, images, pipelines and leases for the tests of the database."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from db import pipelines, queue
from db.engine import SessionFactory
from db.queue import AnalysisResult, Leased
from db.schema import Analysis, Case, Image, Priority, State

QC: dict[str, Any] = {
    "chromosome_count": 46,
    "contrast_polarity": "dark_on_light",
    "focus": 0.5,
    "contrast": 0.6,
    "noise": 0.01,
    "background_unevenness": 0.02,
    "spread": 3.0,
    "chromosome_width": 12.5,
    "cluster_count": 4,
    "overlap_count": 1,
    "nucleus_count": 0,
    "debris_count": 2,
    "unexplained_objects": 1,
    "edge_contact_count": 0,
    "class_confidence": 0.8,
    "score": 0.7,
    "flags": ["crowded"],
}


def chromosome(ordinal: int) -> dict[str, Any]:
    """A row of ``chromosomes`` with a mask as long as a real one."""
    return {
        "ordinal": ordinal,
        "box": [10 * ordinal, 20, 30, 80],
        "mask": "".join(chr(48 + (7 * n + ordinal * n * n) % 64) for n in range(160)),
        "class_id": ordinal % 24 + 1,
        "class_score": 0.9,
        "score": 0.95,
        "top5_classes": [1, 2, 3, 4, 5],
        "top5_scores": [0.9, 0.05, 0.02, 0.02, 0.01],
        "length": 80.5,
        "width": 12.5,
        "centromere_index": 0.4,
        "orientation": "p_up",
        "embedding": None,
        "flags": [],
    }


RESULT = AnalysisResult(
    seconds=1.5,
    iscn="46,XX",
    artefacts={"karyogram": "sha256/ab/cd"},
    chromosomes=[chromosome(ordinal) for ordinal in range(46)],
    qc=QC,
)


@dataclass
class Laboratory:
    """Factory of cases, images and pipelines; each method commits a transaction of its own."""

    sessions: SessionFactory
    result: AnalysisResult = RESULT
    chromosome: Callable[[int], dict[str, Any]] = chromosome
    _numbers: count[int] = field(default_factory=count)

    def pipeline(self, name: str = "first", alias: str | None = None) -> int:
        digest = f"{next(self._numbers):064x}"
        with self.sessions.begin() as session:
            pipeline_id = pipelines.register(session, {"name": name, "digest": digest}, digest)
            if alias:
                pipelines.set_alias(session, alias, pipeline_id)
        return pipeline_id

    def images(self, amount: int, accession: str = "A-1", *, lab: str | None = None, **columns: Any) -> list[int]:
        with self.sessions.begin() as session:
            case = session.scalars(select(Case).where(Case.accession == accession)).first()
            case = case or Case(accession=accession, lab=lab)
            session.add(case)
            session.flush()
            rows = []
            for number in (next(self._numbers) for _ in range(amount)):
                sha256 = f"{number:064x}"
                row = Image(sha256=sha256, object_key=f"sha256/{sha256}", case_id=case.id, file_name=f"{number}.png")
                values = {"format": "PNG", "byte_count": 1000, "width": 640, "height": 480, "bit_depth": 8} | columns
                for name, value in values.items():
                    setattr(row, name, value)
                rows.append(row)
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    def pending(
        self, amount: int, accession: str = "A-1", priority: Priority = Priority.ROUTINE, pipeline_id: int | None = None
    ) -> int:
        """Enqueue new images and return the id of the pipeline."""
        pipeline_id = pipeline_id or self.pipeline()
        images = self.images(amount, accession)
        with self.sessions.begin() as session:
            assert queue.enqueue(session, images, pipeline_id, priority) == amount
        return pipeline_id

    def leased(self, amount: int, lease_seconds: float = 60.0, worker: str = "w1") -> list[Leased]:
        """Claim and lease pending analyses."""
        ids = self.claim(amount)
        with self.sessions.begin() as session:
            return queue.lease(session, ids, worker, lease_seconds)

    def claim(self, amount: int, max_queued: int = 1000) -> list[int]:
        """Claim from every queue, the most urgent first."""
        ids: list[int] = []
        for priority in Priority:
            with self.sessions.begin() as session:
                claimed = queue.claim(session, priority, amount - len(ids), max_queued)
            ids += [analysis_id for analysis_id, _ in claimed]
        return ids

    def begin(self, leased: Leased, *, shared: bool = False) -> int | None:
        with self.sessions.begin() as session:
            return queue.begin(session, leased, shared=shared)

    def finish(self, leased: Leased) -> bool:
        with self.sessions.begin() as session:
            return queue.finish(session, leased, self.result)

    def expire_leases(self) -> None:
        """Move the expiry of all leases into the past."""
        with self.sessions.begin() as session:
            session.execute(
                update(Analysis)
                .where(Analysis.state == State.RUNNING)
                .values(lease_expires_at=text("now() - interval '1 second'"))
            )

    def reap(
        self, max_attempts: int = 3, queued_timeout_seconds: float = 600.0, retry_seconds: float = 0.0
    ) -> queue.ReapReport:
        with self.sessions.begin() as session:
            return queue.reap(session, max_attempts, queued_timeout_seconds, retry_seconds)

    def waits(self) -> list[float]:
        """Return the seconds that analyses still wait for their next attempt."""
        with self.sessions() as session:
            waits = func.extract("epoch", Analysis.not_before - func.now())
            return [float(wait) for wait in session.scalars(select(waits).where(Analysis.not_before.is_not(None)))]

    def end_waits(self) -> None:
        """Move the end of all delays into the past."""
        with self.sessions.begin() as session:
            waiting = update(Analysis).where(Analysis.not_before.is_not(None))
            session.execute(waiting.values(not_before=text("now() - interval '1 second'")))

    def rows(self) -> dict[int, Analysis]:
        """Return every analysis by id."""
        with self.sessions() as session:
            return {row.id: row for row in session.scalars(select(Analysis).order_by(Analysis.id))}

    def states(self) -> list[State]:
        """Return the state of every analysis, ordered by id."""
        return [row.state for row in self.rows().values()]

    def amount(self, table: type[Any]) -> int:
        """Return the number of rows of a table."""
        with self.sessions() as session:
            return session.scalars(select(func.count()).select_from(table)).one()

    @staticmethod
    def at_once(number: int, work: Callable[[], Any]) -> list[Any]:
        """Run ``work`` in ``number`` threads that start at the same time and return its results."""
        gate = threading.Barrier(number)

        def run() -> Any:
            gate.wait()
            return work()

        with ThreadPoolExecutor(number) as pool:
            return [future.result() for future in [pool.submit(run) for _ in range(number)]]


@pytest.fixture
def laboratory(session_factory: SessionFactory) -> Laboratory:
    """Return an empty laboratory on a fresh database."""
    return Laboratory(session_factory)
