"""Rows that ingest writes: a batch, images with their analyses, and rejections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import queue
from db.engine import SessionFactory
from db.schema import Case, Image, IngestBatch, Priority, Rejection
from ingest.rejections import Rejected
from ingest.sources.base import Source
from ingest.sources.labels import Labels
from storage import sha256_of


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What is known of an image from its bytes; fields are columns of ``images``."""

    format: str
    byte_count: int
    width: int
    height: int
    bit_depth: int


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A checked image whose bytes are in the object store."""

    name: str
    labels: Labels
    object_key: str
    facts: ImageFacts | None
    """None if the image row was there before."""

    @property
    def sha256(self) -> str:
        """Digest of the bytes, hexadecimal; the object key is made of it."""
        return sha256_of(self.object_key)


@dataclass(slots=True)
class WriteResult:
    """What one transaction wrote."""

    image_ids: dict[str, int] = field(default_factory=dict)
    """By sha256."""
    new: set[int] = field(default_factory=set)
    enqueued: int = 0


@dataclass(slots=True)
class Batch:
    """One run of ingest, as ``ingest_batches`` records it."""

    id: int
    sessions: SessionFactory
    pipeline_id: int
    _case_ids: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, sessions: SessionFactory, source: Source, pipeline_id: int) -> Batch:
        """Record that a batch from ``source`` has started."""
        with sessions.begin() as session:
            row = IngestBatch(kind=source.kind, source=source.source)
            session.add(row)
            session.flush()
            return cls(row.id, sessions, pipeline_id)

    def write(self, outcomes: Sequence[StoredImage | Rejected]) -> WriteResult:
        """Record ``outcomes`` with their cases, missing analyses and counts in one transaction."""
        stored = [outcome for outcome in outcomes if isinstance(outcome, StoredImage)]
        rejections = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        result = WriteResult()
        with self.sessions.begin() as session:
            case_ids = self._upsert_cases(session, stored)
            self._insert_images(session, stored, case_ids, result)
            result.enqueued = self._enqueue(session, stored, result.image_ids)
            session.add_all(
                Rejection(batch_id=self.id, file_name=name, reason=reason, sentence=sentence)
                for name, reason, sentence in rejections
            )
            session.execute(
                update(IngestBatch)
                .where(IngestBatch.id == self.id)
                .values(
                    new_count=IngestBatch.new_count + len(result.new),
                    duplicate_count=IngestBatch.duplicate_count + len(stored) - len(result.new),
                    rejected_count=IngestBatch.rejected_count + len(rejections),
                )
            )
        self._case_ids |= case_ids
        return result

    def finish(self) -> None:
        """Record that every file of the batch has been processed."""
        with self.sessions.begin() as session:
            session.execute(update(IngestBatch).where(IngestBatch.id == self.id).values(finished_at=func.now()))

    def _upsert_cases(self, session: Session, stored: Sequence[StoredImage]) -> dict[str, int]:
        """Return the ids of the cases of new images, by accession number."""
        cases: dict[str, dict[str, str | None]] = {}
        for image in stored:
            labels = image.labels
            if image.facts:
                case = cases.setdefault(labels.case, {"lab": None, "tissue": None})
                case |= {"lab": case["lab"] or labels.lab, "tissue": case["tissue"] or labels.tissue}
        case_ids = {accession: self._case_ids[accession] for accession in cases if accession in self._case_ids}
        # Sorted, so that two batches lock cases in the same order and do not deadlock.
        unknown = [{"accession": accession, **cases[accession]} for accession in sorted(cases.keys() - case_ids.keys())]
        if unknown:
            new = insert(Case).values(unknown)
            upsert = new.on_conflict_do_update(
                index_elements=[Case.accession],
                set_={
                    "lab": func.coalesce(Case.lab, new.excluded.lab),
                    "tissue": func.coalesce(Case.tissue, new.excluded.tissue),
                },
            )
            case_ids |= dict(session.execute(upsert.returning(Case.accession, Case.id)).all())
        return case_ids

    def _insert_images(
        self, session: Session, stored: Sequence[StoredImage], case_ids: Mapping[str, int], result: WriteResult
    ) -> None:
        rows: dict[str, dict[str, Any]] = {}
        for image in stored:
            labels = image.labels
            if image.facts and image.sha256 not in rows:
                rows[image.sha256] = asdict(image.facts) | {
                    "sha256": image.sha256,
                    "object_key": image.object_key,
                    "case_id": case_ids[labels.case],
                    "batch_id": self.id,
                    "file_name": image.name,
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
            result.image_ids |= dict(inserted.all())
            result.new |= set(result.image_ids.values())
        known = {image.sha256 for image in stored} - result.image_ids.keys()
        if known:
            images = session.execute(select(Image.sha256, Image.id).where(Image.sha256.in_(known)))
            result.image_ids |= dict(images.all())

    def _enqueue(self, session: Session, stored: Sequence[StoredImage], image_ids: Mapping[str, int]) -> int:
        """Enqueue the missing analyses of ``stored`` images; return how many there were."""
        by_priority: dict[Priority, set[int]] = {}
        for image in stored:
            by_priority.setdefault(image.labels.priority, set()).add(image_ids[image.sha256])
        return sum(
            queue.enqueue(session, sorted(ids), self.pipeline_id, priority)
            for priority, ids in sorted(by_priority.items())
        )
