"""Rows that ingest writes: a batch, images with their cases and analyses, and rejections.

What is known wins: an image stays in its case, and a label stays once it was given. A file that contradicts it is
rejected, and a label that is missing is added. A transaction locks its cases first, so of two concurrent batches the
second one sees what the first one wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from db import queue
from db.engine import SessionFactory
from db.schema import Case, Image, IngestBatch, Priority, Rejection
from ingest.folder_cases import FolderCase, KnownCase, Place, folder_case, known_case, path_of
from ingest.rejections import Rejected, rejected
from ingest.sources.base import Source
from ingest.sources.labels import Labels
from storage import sha256_of

_CASE_LABELS = ("lab", "tissue")
_IMAGE_LABELS = ("slide", "culture", "colony", "banding", "microscope", "captured_at", "channel", "plane")
_LABEL_REASONS = {"lab": "other_laboratory"} | {column: f"other_{column}" for column in ("tissue", *_IMAGE_LABELS)}


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

    outcomes: list[StoredImage | Rejected]
    """Every file in the order given; those that contradict what is known are rejected."""
    image_ids: dict[str, int] = field(default_factory=dict)
    """By sha256."""
    new: set[int] = field(default_factory=set)
    enqueued: int = 0

    def stored(self) -> list[tuple[int, StoredImage]]:
        """Return the images that are not rejected, each with its position in ``outcomes``."""
        return [(place, image) for place, image in enumerate(self.outcomes) if isinstance(image, StoredImage)]


@dataclass(slots=True)
class _CaseRow:
    """A locked row of ``cases``, and what a transaction adds to it."""

    id: int
    is_new: bool
    """Inserted by this transaction."""
    is_empty: bool
    """Without images before this transaction."""
    labels: dict[str, Any]
    added: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """One run of ingest, as ``ingest_batches`` records it."""

    id: int
    sessions: SessionFactory
    pipeline_id: int
    place: Place
    admitted: set[FolderCase] = field(default_factory=set)
    """Cases that the folders of their name may add to."""

    @classmethod
    def begin(cls, sessions: SessionFactory, source: Source, pipeline_id: int) -> Batch:
        """Record that a batch from ``source`` has started."""

        def insert_row(session: Session) -> int:
            row = IngestBatch(kind=source.kind, source=source.source)
            session.add(row)
            session.flush()
            return row.id

        return cls(sessions.transact(insert_row), sessions, pipeline_id, Place(source.kind, source.source))

    def write(self, outcomes: Sequence[StoredImage | Rejected]) -> WriteResult:
        """Record ``outcomes`` with their cases, missing analyses and counts in one transaction."""

        def write_rows(session: Session) -> tuple[WriteResult, set[FolderCase]]:
            result = WriteResult(list(outcomes))
            cases = _lock_cases(session, result)
            admitted = self._refuse_other_folders(session, cases, result)
            _refuse_case_labels(cases, result)
            self._insert_images(session, cases, result)
            _refuse_image_labels(session, result)
            _write_cases(session, cases, result)
            self._enqueue(session, cases, result)
            self._record(session, result)
            return result, admitted

        result, admitted = self.sessions.transact(write_rows)
        folders = {folder_case(self.place, image.name, image.labels) for _, image in result.stored()}
        self.admitted |= {folder for folder in admitted if folder in folders}
        return result

    def finish(self) -> None:
        """Record that every file of the batch has been processed."""
        finished = update(IngestBatch).where(IngestBatch.id == self.id).values(finished_at=func.now())
        self.sessions.transact(lambda session: session.execute(finished))

    def _refuse_other_folders(
        self, session: Session, cases: dict[str, _CaseRow], result: WriteResult
    ) -> set[FolderCase]:
        """Reject images whose folder names the case of another folder.

        The first check was before the images were stored; a concurrent batch may have made the case since.

        Returns:
            Cases that their folders may add to from now on.
        """
        admitted: set[FolderCase] = set()
        taken = {accession for accession, case in cases.items() if not case.is_empty}
        undecided: dict[FolderCase, list[tuple[int, StoredImage]]] = {}
        for place, image in result.stored():
            folder = folder_case(self.place, image.name, image.labels)
            if folder is None:
                taken.add(image.labels.case)
            elif folder.accession in cases and folder not in self.admitted | admitted:
                if folder.accession in taken:
                    undecided.setdefault(folder, []).append((place, image))
                else:
                    taken.add(folder.accession)
                    admitted.add(folder)
        for folder, members in undecided.items():
            known = known_case(session, folder.accession, {image.sha256 for _, image in members})
            known = known or KnownCase(folder.accession, self.place.source, f"{datetime.now(UTC):%Y-%m-%d}", ())
            if any((path_of(self.place, image.name), image.sha256) in known.images for _, image in members):
                admitted.add(folder)
            elif not {image.sha256 for _, image in members} <= {image.sha256 for image in known.images}:
                for place, image in members:
                    result.outcomes[place] = known.refusal(image.name)
        return admitted

    def _insert_images(self, session: Session, cases: dict[str, _CaseRow], result: WriteResult) -> None:
        """Insert images whose bytes are not known, and reject those that another case has."""
        rows: dict[str, dict[str, Any]] = {}
        for _, image in result.stored():
            labels = image.labels
            if image.facts and labels.case in cases and image.sha256 not in rows:
                rows[image.sha256] = asdict(image.facts) | {
                    "sha256": image.sha256,
                    "object_key": image.object_key,
                    "case_id": cases[labels.case].id,
                    "batch_id": self.id,
                    "file_name": image.name,
                    **{column: getattr(labels, column) for column in _IMAGE_LABELS},
                }
        if rows:
            # Sorted, so that two batches insert images in the same order and do not deadlock.
            statement = insert(Image).values([rows[sha256] for sha256 in sorted(rows)])
            inserted = statement.on_conflict_do_nothing(index_elements=[Image.sha256]).returning(Image.id)
            result.new |= set(session.scalars(inserted))
        sha256s = {image.sha256 for _, image in result.stored()}
        known = select(Image.sha256, Image.id, Image.file_name, Case.accession).join(Case, Case.id == Image.case_id)
        by_sha256 = {row.sha256: row for row in session.execute(known.where(Image.sha256.in_(sha256s)))}
        for place, image in result.stored():
            row, case = by_sha256.get(image.sha256), image.labels.case
            if row is None:
                result.outcomes[place] = rejected(image.name, "erased_meanwhile")
            elif row.accession != case:
                facts = {"file": row.file_name, "known": row.accession, "case": case}
                result.outcomes[place] = rejected(image.name, "known_in_other_case", **facts)
        result.image_ids |= {image.sha256: by_sha256[image.sha256].id for _, image in result.stored()}

    def _enqueue(self, session: Session, cases: dict[str, _CaseRow], result: WriteResult) -> None:
        """Enqueue missing analyses, and raise waiting ones to the priority that was given."""
        by_priority: dict[Priority, set[int]] = {}
        given: dict[str, Priority] = {}
        for _, image in result.stored():
            labels = image.labels
            by_priority.setdefault(labels.priority, set()).add(result.image_ids[image.sha256])
            if labels.priority_given or labels.priority != Priority.ROUTINE:
                given[labels.case] = min(labels.priority, given.get(labels.case, labels.priority))
            elif "lab" in cases[labels.case].added:
                given.setdefault(labels.case, Priority.BACKLOG)  # nothing is raised, and the lane is the laboratory's
        for priority, ids in sorted(by_priority.items()):
            result.enqueued += queue.enqueue(session, sorted(ids), self.pipeline_id, priority)
        for accession, priority in sorted(given.items()):
            queue.raise_priority(session, cases[accession].id, priority)

    def _record(self, session: Session, result: WriteResult) -> None:
        """Record rejections and counts of the batch."""
        rejections = [outcome for outcome in result.outcomes if isinstance(outcome, Rejected)]
        session.add_all(
            Rejection(batch_id=self.id, file_name=name, reason=reason, sentence=sentence)
            for name, reason, sentence in rejections
        )
        stored = len(result.outcomes) - len(rejections)
        session.execute(
            update(IngestBatch)
            .where(IngestBatch.id == self.id)
            .values(
                new_count=IngestBatch.new_count + len(result.new),
                duplicate_count=IngestBatch.duplicate_count + stored - len(result.new),
                rejected_count=IngestBatch.rejected_count + len(rejections),
            )
        )


def _lock_cases(session: Session, result: WriteResult) -> dict[str, _CaseRow]:
    """Lock the cases of the images, inserted for new images; return them by accession number."""
    images = [image for _, image in result.stored()]
    known = set(session.scalars(select(Image.sha256).where(Image.sha256.in_({image.sha256 for image in images}))))
    missing = {image.labels.case for image in images if image.facts and image.sha256 not in known}
    inserted: set[int] = set()
    if missing:
        # Sorted, so that two batches lock cases in the same order and do not deadlock.
        statement = insert(Case).values([{"accession": accession} for accession in sorted(missing)])
        skipping = statement.on_conflict_do_nothing(index_elements=[Case.accession])
        inserted = set(session.scalars(skipping.returning(Case.id)))
    locked = select(Case).where(Case.accession.in_({image.labels.case for image in images})).order_by(Case.accession)
    rows = session.scalars(locked.with_for_update(key_share=True).execution_options(populate_existing=True)).all()
    # A statement of its own, as it must see what was committed while the locks were awaited.
    ids = [row.id for row in rows]
    filled = set(session.scalars(select(Case.id).where(Case.id.in_(ids), exists().where(Image.case_id == Case.id))))
    return {
        row.accession: _CaseRow(
            row.id, row.id in inserted, row.id not in filled, {column: getattr(row, column) for column in _CASE_LABELS}
        )
        for row in rows
    }


def case_conflict(session: Session, name: str, labels: Labels) -> Rejected | None:
    """Return the rejection of a file whose laboratory or tissue is not that of its case."""
    row = session.execute(select(Case.lab, Case.tissue).where(Case.accession == labels.case)).mappings().first()
    return None if row is None else _add_labels(dict(row), name, labels, _CASE_LABELS)


def _refuse_case_labels(cases: dict[str, _CaseRow], result: WriteResult) -> None:
    """Reject images whose laboratory or tissue is not that of their case."""
    labels = {accession: dict(case.labels) for accession, case in cases.items()}
    for place, image in result.stored():
        if image.labels.case in labels:
            conflict = _add_labels(labels[image.labels.case], image.name, image.labels, _CASE_LABELS)
            result.outcomes[place] = conflict or image


def _refuse_image_labels(session: Session, result: WriteResult) -> None:
    """Add labels to known images, and reject files whose labels are not those of their image."""
    ids = set(result.image_ids.values())
    rows = {row.id: row for row in session.scalars(select(Image).where(Image.id.in_(ids)).order_by(Image.id))}
    for place, image in result.stored():
        row = rows[result.image_ids[image.sha256]]
        labels = {column: getattr(row, column) for column in _IMAGE_LABELS}
        conflict = _add_labels(labels, image.name, image.labels, _IMAGE_LABELS)
        if conflict:
            result.outcomes[place] = conflict
        else:
            for column, value in labels.items():
                setattr(row, column, value)
    session.flush()


def _add_labels(known: dict[str, Any], name: str, labels: Labels, columns: Sequence[str]) -> Rejected | None:
    """Add ``labels`` to ``known``, or return the rejection of a file with another label."""
    given = {column: value for column in columns if (value := getattr(labels, column)) is not None}
    for column, value in given.items():
        if known[column] not in (None, value):
            facts = {"case": labels.case, "known": known[column], "given": value}
            return rejected(name, _LABEL_REASONS[column], **facts)
    known |= given
    return None


def _write_cases(session: Session, cases: dict[str, _CaseRow], result: WriteResult) -> None:
    """Add labels to the cases, and delete new ones that have got no image."""
    for _, image in result.stored():
        case = cases[image.labels.case]
        for column in _CASE_LABELS:
            if case.labels[column] is None and (value := getattr(image.labels, column)) is not None:
                case.added[column] = value
    filled = {image.labels.case for _, image in result.stored()}
    for accession, case in sorted(cases.items()):
        if case.is_new and accession not in filled:
            session.execute(delete(Case).where(Case.id == case.id))
        elif case.added:
            session.execute(update(Case).where(Case.id == case.id).values(case.added))
