"""Texts and audit events that name a case, and their form without it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, cast, exists, or_, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from db import audit
from db.schema import AuditEvent, Base, Campaign, Image, IngestBatch, Rejection, Schedule

BLANK = "erased"
"""What a text holds in place of the name of an erased case."""
ERASED_SUBJECT = f"case:{BLANK}"

Blank = Callable[[Any], Any]
"""Function that returns a value of JSON with its texts changed."""

_TEXTS: dict[type[Base], Sequence[InstrumentedAttribute[Any]]] = {
    IngestBatch: (IngestBatch.source,),
    Rejection: (Rejection.file_name, Rejection.sentence),
    Campaign: (Campaign.name, Campaign.filters),
    Schedule: (Schedule.filters, Schedule.problem),
}
"""Columns in which people or ingest may name a case, by table."""


def make_blank(accession: str, replacement: str = BLANK) -> Blank:
    """Return the function that replaces an accession number, as a whole word in any case.

    >>> make_blank("A-1")({"because": ["A-1", "a-1_cell 7.tif", "A-12", 1]})
    {'because': ['erased', 'erased_cell 7.tif', 'A-12', 1]}
    """
    words = r"\s+".join(map(re.escape, accession.split()))
    pattern = re.compile(rf"(?<![^\W_]){words}(?![^\W_])", re.IGNORECASE)

    def blank(value: Any) -> Any:
        if isinstance(value, str):
            return pattern.sub(lambda match: replacement, value)
        if isinstance(value, dict):
            return {blank(key): blank(item) for key, item in value.items()}
        return [blank(item) for item in value] if isinstance(value, list) else value

    return blank


def blank_texts(session: Session, case_id: int, accession: str) -> int:
    """Remove the name of a case from the rows of others; return how many were changed.

    These are batches, rejections, campaigns and schedules.
    Batches that took images of this case alone lose their source, and the names of the files that they rejected.
    """
    image, other = aliased(Image), aliased(Image)
    of_another = exists().where(other.batch_id == image.batch_id, other.case_id != case_id)
    batches = list(session.scalars(select(image.batch_id).where(image.case_id == case_id, ~of_another).distinct()))
    changed = [
        update(IngestBatch).where(IngestBatch.id.in_(batches)).values(source=BLANK).returning(IngestBatch.id),
        update(Rejection)
        .where(Rejection.batch_id.in_(batches))
        .values(file_name=BLANK, sentence=BLANK)
        .returning(Rejection.id),
    ]
    count = sum(len(session.scalars(statement).all()) for statement in changed)
    blank = make_blank(accession)
    for table, columns in _TEXTS.items():
        for row in session.scalars(select(table).where(_may_name(accession, *columns))):
            values = {column.key: getattr(row, column.key) for column in columns}
            if (without := blank(values)) != values:
                count += 1
                for name, value in without.items():
                    setattr(row, name, value)
    session.flush()
    return count


def find_event_changes(session: Session, case_id: int, accession: str) -> dict[int, dict[str, Any]]:
    """Return the new values of audit events that belong to a case or name it, by place.

    Events of the case lose their details; actor, action and time stay. Other events lose only the name.
    """
    blank, subject = make_blank(accession), f"case:{case_id}"
    changes: dict[int, dict[str, Any]] = {}
    may_name = _may_name(accession, AuditEvent.subject, AuditEvent.detail)
    query = select(AuditEvent).where(or_(AuditEvent.subject == subject, may_name), AuditEvent.action != audit.ERASED)
    for event in session.scalars(query.order_by(AuditEvent.id)):
        values = {"subject": event.subject, "detail": event.detail}
        without = {"subject": ERASED_SUBJECT, "detail": {}} if event.subject == subject else blank(values)
        if without != values:
            changes[event.id] = without
    return changes


_HASH_CHANGED = text(
    """
    SELECT event.id,
           karyo.audit_hash(coalesce(previous.hash, ''), jsonb_populate_record(event, given.value))
    FROM jsonb_each(CAST(:changes AS jsonb)) given
    JOIN karyo.audit_events event ON event.id = CAST(given.key AS bigint)
    LEFT JOIN LATERAL (SELECT hash FROM karyo.audit_events WHERE id < event.id ORDER BY id DESC LIMIT 1) previous
         ON true
    """
)
_CHANGE = text(
    """
    UPDATE karyo.audit_events event SET subject = given.value ->> 'subject', detail = given.value -> 'detail'
    FROM jsonb_each(CAST(:changes AS jsonb)) given WHERE event.id = CAST(given.key AS bigint)
    """
)


def hash_changed(session: Session, changes: dict[int, dict[str, Any]]) -> dict[int, str]:
    """Return the hash that each event would have with its new values, by place in the chain."""
    return dict(session.execute(_HASH_CHANGED, {"changes": json.dumps(changes)}).all())


def change_events(session: Session, changes: dict[int, dict[str, Any]]) -> None:
    """Give audit events their new values; the event of the erasure must be the last one."""
    session.execute(_CHANGE, {"changes": json.dumps(changes)})


def _may_name(accession: str, *columns: InstrumentedAttribute[Any]) -> ColumnElement[bool]:
    """Return the condition that rows with the first word of ``accession`` meet, and others too."""
    word = json.dumps(accession.split(maxsplit=1)[0], ensure_ascii=False)[1:-1]  # as JSON in a text writes it
    return or_(*(cast(column, Text).icontains(word, autoescape=True) for column in columns))
