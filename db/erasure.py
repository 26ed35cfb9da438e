"""Erasure of a case with its rows, objects and mentions, in one transaction with its event.

The event holds counts, who, when and why, and nothing of the case but its former number. The triggers that refuse
changes let pass what the last event of the same transaction names. So nothing is erased without an event.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy import delete as delete_from
from sqlalchemy.orm import Session

from db import audit, discarded_objects, mentions
from db.accessions import names_case
from db.schema import Analysis, Base, Case, CaseResult, Chromosome, Image, QcMetrics, Review, SignOff, State

LOCK_TIMEOUT = 500  # ms, less than PostgreSQL waits before it ends one of two transactions that wait for each other


class RefusedErasure(Exception):
    """An erasure that cannot be done as it was asked for; the message says what to change."""


class Erased(NamedTuple):
    """What an erasure removes."""

    case_id: int
    rows: dict[str, int]
    """Deleted rows by table."""
    texts: int
    """Rows of batches, rejections, campaigns and schedules that no longer name the case."""
    events: int
    """Audit events that no longer say anything about the case."""
    objects: int
    """Objects that the store must lose, unless another row names them."""
    bytes: int
    """Size of the original images."""
    running: int
    """Images that workers hold; their results are not written."""


def erase(session: Session, accession: str, *, actor: str, because: str) -> Erased | None:
    """Erase a case; its objects are noted for ``discarded_objects.remove``.

    Ingest and workers wait for this transaction, which gives way to theirs: a lock that is not free within
    ``LOCK_TIMEOUT`` is an error that a repetition solves. For a dry run, roll back.

    Args:
        session: an open transaction without savepoints.
        accession: of the case.
        actor: who erases it, as ``user@host``.
        because: why.

    Returns:
        What is erased; None if there is no such case.

    Raises:
        RefusedErasure: the reason is empty or names the case.
        sqlalchemy.exc.OperationalError: another transaction works on the case.
    """
    session.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}"))
    session.execute(text("LOCK TABLE karyo.cases IN EXCLUSIVE MODE"))
    case = session.scalars(select(Case).where(names_case(accession))).first()
    if case is None:
        return None
    _check_reason(because, case.accession)
    audit.lock(session)
    tables = _tables_of(case.id)
    erased = Erased(
        case.id,
        rows={table.__tablename__: _count(session, table, condition) for table, condition in tables},
        texts=mentions.blank_texts(session, case.id, case.accession),
        events=len(changes := mentions.find_event_changes(session, case.id, case.accession)),
        objects=discarded_objects.add_case(session, case.id),
        bytes=int(session.scalar(select(func.sum(Image.byte_count)).where(_is_image(case.id))) or 0),
        running=_count(session, Analysis, _is_analysis(case.id) & (Analysis.state == State.RUNNING)),
    )
    counts = erased._asdict()
    del counts["case_id"]
    redacted = mentions.hash_changed(session, changes)
    audit.append(
        session,
        actor=actor,
        action=audit.ERASED,
        subject=f"case:{case.id}",
        because=because,
        redacted=redacted,
        **counts,
    )
    mentions.change_events(session, changes)
    session.expunge(case)
    for table, condition in tables:
        session.execute(delete_from(table).where(condition).execution_options(synchronize_session=False))
    return erased


def _check_reason(because: str, accession: str) -> None:
    if not because.strip():
        raise RefusedErasure("an erasure needs a reason; write why, without the accession number")
    if mentions.make_blank(accession)(because) != because:
        raise RefusedErasure("the reason names the case, and the audit trail keeps it; write it without that name")


def _tables_of(case_id: int) -> list[tuple[type[Base], ColumnElement[bool]]]:
    """Return the tables of a case in the order of deletion, each with the condition of its rows."""
    analyses = select(Analysis.id).where(_is_analysis(case_id))
    return [
        (SignOff, SignOff.case_id == case_id),
        (Review, Review.case_id == case_id),
        (CaseResult, CaseResult.case_id == case_id),
        (QcMetrics, QcMetrics.analysis_id.in_(analyses)),
        (Chromosome, Chromosome.analysis_id.in_(analyses)),
        (Analysis, _is_analysis(case_id)),
        (Image, _is_image(case_id)),
        (Case, Case.id == case_id),
    ]


def _is_image(case_id: int) -> ColumnElement[bool]:
    return Image.case_id == case_id


def _is_analysis(case_id: int) -> ColumnElement[bool]:
    return Analysis.image_id.in_(select(Image.id).where(_is_image(case_id)))


def _count(session: Session, table: type[Base], condition: ColumnElement[bool]) -> int:
    return session.scalars(select(func.count()).select_from(table).where(condition)).one()
