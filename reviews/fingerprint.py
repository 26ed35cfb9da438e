"""Fingerprints of reviews and sign-offs, which their audit events hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Text, and_, cast, or_, select
from sqlalchemy.orm import Session

from db.mentions import ERASED_SUBJECT
from db.schema import AuditEvent, Review, SignOff

RECORDED = "review.recorded"
SIGNED = "case.signed"
T = TypeVar("T", Review, SignOff)

_BATCH = 1000  # rows that are compared at a time


def fingerprint(row: Review | SignOff) -> str:
    """Return the SHA-256 of all columns of a stored row, 64 hexadecimal digits."""
    values = {column.key: _as_json(getattr(row, column.key)) for column in row.__table__.columns}
    return hashlib.sha256(json.dumps(values, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def find_altered(session: Session) -> Iterator[str]:
    """Yield a sentence for every review and sign-off that is not as its audit event says.

    The events themselves are those of ``db.audit.verify``. Events of erased cases are left out.
    """
    yield from _compare(session, Review, RECORDED, "review")
    yield from _compare(session, SignOff, SIGNED, "sign_off")


def _compare(session: Session, table: type[T], action: str, key: str) -> Iterator[str]:
    name = key.replace("_", "-")
    is_of = and_(AuditEvent.action == action, AuditEvent.detail[key].as_string() == cast(table.id, Text))
    query = (
        select(table, AuditEvent)
        .join(AuditEvent, is_of, full=True)
        .where(or_(and_(AuditEvent.action == action, AuditEvent.subject != ERASED_SUBJECT), AuditEvent.id.is_(None)))
        .order_by(AuditEvent.id, table.id)
        .execution_options(yield_per=_BATCH)
    )
    with session.execute(query) as rows:
        for row, event in rows:
            if event is None:
                yield f"{name} {row.id} has no event"
            elif row is None:
                yield f"{name} {event.detail[key]} of event {event.id} is missing"
            elif fingerprint(row) != event.detail["content_sha256"]:
                yield f"{name} {row.id} differs from event {event.id}"


def _as_json(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
