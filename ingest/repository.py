"""What ingest writes to the database: one batch row, and for each file an image with its analysis, or a rejection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import queue
from db.engine import SessionFactory
from db.schema import Case, Image, IngestBatch, Rejection
from ingest.rejections import Rejected
from ingest.sources.folder import Candidate


@dataclass(frozen=True, slots=True)
class Stored:
    """A checked file whose bytes are in the store; without ``columns``, its image row was there before."""

    candidate: Candidate
    sha256: str
    columns: dict[str, Any] | None = None


@dataclass(slots=True)
class Written:
    """What one transaction did."""

    image_ids: dict[str, int] = field(default_factory=dict)
    """By sha256."""
    new: set[int] = field(default_factory=set)
    enqueued: int = 0


@dataclass(slots=True)
class Batch:
    """One run of ingest, as recorded in ``ingest_batches``."""

    id: int
    sessions: SessionFactory
    pipeline_id: int
    _cases: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, sessions: SessionFactory, kind: str, source: str, pipeline_id: int) -> Batch:
        """Record that a batch of ``kind`` has started."""
        with sessions.begin() as session:
            row = IngestBatch(kind=kind, source=source)
            session.add(row)
            session.flush()
            return cls(row.id, sessions, pipeline_id)

    def write(self, outcomes: Sequence[Stored | Rejected]) -> Written:
        """Record ``outcomes`` in one transaction: cases, images, missing analyses, rejections, counts."""
        stored = [one for one in outcomes if isinstance(one, Stored)]
        refused = [one for one in outcomes if isinstance(one, Rejected)]
        written = Written()
        with self.sessions.begin() as session:
            cases = self._upsert_cases(session, stored)
            self._insert_images(session, stored, cases, written)
            by_priority: dict[int, set[int]] = {}
            for one in stored:
                image_ids = by_priority.setdefault(one.candidate.labels.priority, set())
                image_ids.add(written.image_ids[one.sha256])
            for priority, image_ids in sorted(by_priority.items()):
                written.enqueued += queue.enqueue(session, sorted(image_ids), self.pipeline_id, priority)
            session.add_all(
                Rejection(batch_id=self.id, file_name=r.name, reason=r.reason, sentence=r.sentence) for r in refused
            )
            session.execute(
                update(IngestBatch)
                .where(IngestBatch.id == self.id)
                .values(
                    new_count=IngestBatch.new_count + len(written.new),
                    duplicate_count=IngestBatch.duplicate_count + len(stored) - len(written.new),
                    rejected_count=IngestBatch.rejected_count + len(refused),
                )
            )
        self._cases |= cases
        return written

    def finish(self) -> None:
        """Record that every file of the batch has been dealt with."""
        with self.sessions.begin() as session:
            session.execute(update(IngestBatch).where(IngestBatch.id == self.id).values(finished_at=func.now()))

    def _upsert_cases(self, session: Session, stored: Sequence[Stored]) -> dict[str, int]:
        """Ids of the cases of new images, locked in order of name lest two batches wait for each other."""
        cases: dict[str, dict[str, str | None]] = {}
        for one in stored:
            labels = one.candidate.labels
            if one.columns:
                case = cases.setdefault(labels.case, {"lab": None, "tissue": None})
                case |= {"lab": case["lab"] or labels.lab, "tissue": case["tissue"] or labels.tissue}
        found = {name: self._cases[name] for name in cases if name in self._cases}
        unknown = [{"accession": name, **cases[name]} for name in sorted(cases.keys() - found.keys())]
        if unknown:
            new = insert(Case).values(unknown)
            upsert = new.on_conflict_do_update(
                index_elements=[Case.accession],
                set_={
                    "lab": func.coalesce(Case.lab, new.excluded.lab),
                    "tissue": func.coalesce(Case.tissue, new.excluded.tissue),
                },
            )
            found |= dict(session.execute(upsert.returning(Case.accession, Case.id)).all())
        return found

    def _insert_images(
        self, session: Session, stored: Sequence[Stored], cases: dict[str, int], written: Written
    ) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for one in stored:
            labels = one.candidate.labels
            if one.columns and one.sha256 not in rows:
                rows[one.sha256] = one.columns | {
                    "sha256": one.sha256,
                    "case_id": cases[labels.case],
                    "batch_id": self.id,
                    "file_name": one.candidate.name,
                    "slide": labels.slide,
                    "banding": labels.banding,
                    "microscope": labels.microscope,
                    "captured_at": labels.captured_at,
                }
        if rows:
            statement = insert(Image).values([rows[sha256] for sha256 in sorted(rows)])
            inserted = session.execute(
                statement.on_conflict_do_nothing(index_elements=[Image.sha256]).returning(Image.sha256, Image.id)
            )
            written.image_ids |= dict(inserted.all())
            written.new |= set(written.image_ids.values())
        known = {one.sha256 for one in stored} - written.image_ids.keys()
        if known:
            found = session.execute(select(Image.sha256, Image.id).where(Image.sha256.in_(known)))
            written.image_ids |= dict(found.all())
