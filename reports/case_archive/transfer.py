"""Export of a case to an archive, and import of an archive as a case."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from db import audit, discarded_objects
from db.accessions import names_case
from db.engine import SessionFactory
from db.mentions import make_blank
from db.outages import is_outage
from db.schema import Case, Image, IngestBatch, Review, SignOff
from reports.case_archive.archive import ArchiveError, CaseArchive, write_archive
from reports.case_archive.rows import Document, read_rows, write_rows
from reviews.fingerprint import RECORDED, SIGNED, fingerprint
from storage import ObjectStore

EXPORTED = "case.exported"
IMPORTED = "case.imported"
_TEXTS = {"images": ("file_name", "slide"), "analyses": ("error",), "reviews": ("detail",)}
"""Columns that may name a case, by kind of rows."""
_NAMED_ARTEFACTS = ("karyogram", "karyogram_svg")  # drawings that show the accession number


class Imported(NamedTuple):
    """The case of an archive."""

    accession: str
    is_new: bool
    """False if the case was there already, with the same content."""


def export_case(
    session: Session, store: ObjectStore, case: Case, path: Path, *, actor: str, pseudonym: str | None = None
) -> Document:
    """Write the archive of a case, and record that in the audit trail.

    Args:
        session: an open transaction.
        store: where the objects are.
        case: its row.
        path: file to write.
        actor: who exports it, as ``user@host``.
        pseudonym: replaces the accession number in all texts; drawings that show it are left out.

    Returns:
        The rows that were written.

    Raises:
        StorageError: an object is missing or damaged.
    """
    document = read_rows(session, case.id)
    if pseudonym is not None:
        document = _rename(document, case.accession, pseudonym)
    objects = write_archive(path, document, store)
    audit.append(
        session, actor=actor, action=EXPORTED, subject=f"case:{case.id}", objects=objects, renamed=pseudonym is not None
    )
    return document


def import_case(sessions: SessionFactory, store: ObjectStore, archive: CaseArchive, *, actor: str) -> Imported:
    """Store the objects and rows of an archive, all or none of the rows.

    Args:
        sessions: sessions on the database.
        store: where the objects go.
        archive: whose files were verified.
        actor: who imports it, as ``user@host``.

    Raises:
        ArchiveError: the case or one of its images is there with other content, or the rows cannot be.
        StorageError: the store failed; repeat the import.
    """
    with sessions() as session:
        if _is_known(session, archive.document):
            return Imported(archive.accession, is_new=False)
    batch_id = sessions.transact(partial(_begin_batch, source=archive.name))
    try:
        sessions.transact(partial(discarded_objects.keep, keys=archive.keys))
        for key in archive.keys:
            store.put(archive.read_object(key), key)
        return sessions.transact(partial(_write, archive=archive, batch_id=batch_id, actor=actor))
    except DBAPIError as problem:
        if is_outage(problem):
            raise
        raise ArchiveError("the rows of the archive do not fit together; export the case again") from problem
    finally:
        sessions.transact(partial(_finish_batch, batch_id=batch_id))


def _begin_batch(session: Session, source: str) -> int:
    """Record the import as a batch, so that a sweep spares the objects that it stores."""
    batch = IngestBatch(kind="archive", source=source)
    session.add(batch)
    session.flush()
    return batch.id


def _finish_batch(session: Session, batch_id: int) -> None:
    """Count the images of the batch, or remove it if it has none."""
    images = session.scalars(select(func.count()).select_from(Image).where(Image.batch_id == batch_id)).one()
    batch = session.get_one(IngestBatch, batch_id)
    if images:
        batch.new_count, batch.finished_at = images, datetime.now(UTC)
    else:
        session.delete(batch)


def _write(session: Session, archive: CaseArchive, batch_id: int, actor: str) -> Imported:
    if _is_known(session, archive.document):
        return Imported(archive.accession, is_new=False)
    _record(session, write_rows(session, archive.document, batch_id), actor)
    return Imported(archive.accession, is_new=True)


def _is_known(session: Session, document: Document) -> bool:
    """Return whether the case is there with the same content.

    Raises:
        ArchiveError: it has other content, or another case has one of its images.
    """
    accession = document["case"]["accession"]
    case = session.scalars(select(Case).where(names_case(accession))).first()
    if case is not None:
        if _content(read_rows(session, case.id)) == _content(document):
            return True
        raise ArchiveError(
            f"case {accession!r} is there with other content; export it again with --pseudonym, "
            "or erase the case that is there"
        )
    sha256s = [row["sha256"] for row in document["images"]]
    other = select(Case.accession).join(Image, Image.case_id == Case.id).where(Image.sha256.in_(sha256s)).limit(1)
    if (owner := session.scalar(other)) is not None:
        raise ArchiveError(f"an image of the archive belongs to case {owner!r} here; check which case it is of")
    return False


def _record(session: Session, case_id: int, actor: str) -> None:
    """Append the events that corrections, sign-offs and the import need."""
    subject = f"case:{case_id}"
    for review in session.scalars(select(Review).where(Review.case_id == case_id).order_by(Review.id)):
        detail = {"review": review.id, "reviewer": review.reviewer, "imported": True}
        audit.append(
            session, actor=actor, action=RECORDED, subject=subject, **detail, content_sha256=fingerprint(review)
        )
    for sign_off in session.scalars(select(SignOff).where(SignOff.case_id == case_id).order_by(SignOff.id)):
        detail = {"sign_off": sign_off.id, "reader": sign_off.reader, "imported": True}
        audit.append(
            session, actor=actor, action=SIGNED, subject=subject, **detail, content_sha256=fingerprint(sign_off)
        )
    audit.append(session, actor=actor, action=IMPORTED, subject=subject)


def _content(document: Document) -> Document:
    """Return the rows that two copies of a case have in common; summaries follow from them."""
    return {name: rows for name, rows in document.items() if name != "case_results"}


def _rename(document: Document, accession: str, pseudonym: str) -> Document:
    """Return a document with another accession number, without the drawings that show it."""
    rename = make_blank(accession, pseudonym)
    renamed = document | {"case": document["case"] | {"accession": pseudonym}}
    for name, columns in _TEXTS.items():
        renamed[name] = [row | {column: rename(row[column]) for column in columns} for row in document[name]]
    for name in ("analyses", "case_results"):
        for row in renamed[name]:
            artefacts = row["artefacts"] or {}
            row["artefacts"] = {kind: key for kind, key in artefacts.items() if kind not in _NAMED_ARTEFACTS}
    return renamed
