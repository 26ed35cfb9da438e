"""Audit trail: who did what to which row, when and why. Append-only, in one hash chain.

The hash of an event is the SHA-256 of the hash of the event before and of all its own values. A trigger of the database
computes it, so that every writer extends the same chain. ``verify`` computes it again, in Python.

An erased case leaves its events in the chain without their details. They keep their hash, and the event of the erasure
holds the hash of what is left of each.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, Text, cast, func, select
from sqlalchemy.orm import Session

from db.schema import AuditEvent

ERASED = "case.erased"
LOCK_KEY = 0x6175646974  # "audit", the advisory lock of the chain

_BATCH = 1000  # events that are verified at a time


class HashedValues(NamedTuple):
    """The values of an event that its hash covers."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: str
    """JSON as PostgreSQL writes ``jsonb``."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Result of the check of the chain."""

    count: int
    """Events up to the last one that was checked."""
    head: str
    """Hash of that event, 64 hexadecimal digits; empty without events."""
    broken: int | None
    """The first event whose hash does not fit; None if all fit."""
    has_anchor: bool
    """Whether the chain holds the hash that was looked for; True if none was."""


def append(session: Session, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Record an action in the caller's transaction, so that both happen or neither does.

    Other writers wait until the transaction ends, so it should be the last statement.

    Args:
        session: an open transaction.
        actor: who acts, as ``user@host``.
        action: stable key, such as ``pipeline.promoted``.
        subject: kind and key of the row, such as ``pipeline:DIGEST``.
        detail: everything else as JSON.
    """
    session.add(AuditEvent(actor=actor, action=action, subject=subject, detail=detail))
    session.flush()


def lock(session: Session) -> None:
    """Make other writers of events wait until the transaction ends."""
    session.execute(select(func.pg_advisory_xact_lock(LOCK_KEY)))


def list_events(session: Session, *actions: str) -> Sequence[AuditEvent]:
    """Return the events with one of these ``actions``, oldest first."""
    return session.scalars(select(AuditEvent).where(AuditEvent.action.in_(actions)).order_by(AuditEvent.id)).all()


def list_last(
    session: Session, limit: int, *, action: str | None = None, subject: str | None = None
) -> Sequence[AuditEvent]:
    """Return the last events, newest first.

    Args:
        session: an open transaction.
        limit: most events to return.
        action: first characters of the action, such as ``review.``; None for all.
        subject: kind and key of the row; None for all.
    """
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if action is not None:
        query = query.where(AuditEvent.action.startswith(action, autoescape=True))
    if subject is not None:
        query = query.where(AuditEvent.subject == subject)
    return session.scalars(query).all()


def verify(session: Session, anchor: str | None = None) -> Verification:
    """Compute the hash of every event again, and stop at the first that does not fit.

    A redacted event fits if the event of an erasure holds the hash of its remaining values. A chain does not show that
    its last events were removed. A hash that was noted outside the database does.

    Args:
        session: an open transaction.
        anchor: a hash that an earlier verification ended with; None to look for none.
    """
    query = _hashed_values().order_by(AuditEvent.id).execution_options(yield_per=_BATCH)
    redacted = _find_redacted(session)
    count, head, found = 0, "", anchor is None
    with session.execute(query) as events:
        for row in events:
            event, stored = HashedValues(*row[:-1]), row[-1]
            if hash_event(head, event) != redacted.get(event.id, stored):
                return Verification(count, head, event.id, found)
            count, head, found = count + 1, stored, found or stored == anchor
    return Verification(count, head, None, found)


def _hashed_values() -> Select[*tuple[Any, ...]]:
    return select(
        AuditEvent.id, AuditEvent.at, AuditEvent.actor, AuditEvent.action, AuditEvent.subject,
        cast(AuditEvent.detail, Text), AuditEvent.hash,
    )  # fmt: skip


def _find_redacted(session: Session) -> dict[int, str]:
    """Return the hash of the remaining values of every redacted event, by the event's place."""
    erasures = list_events(session, ERASED)
    return {int(place): digest for event in erasures for place, digest in event.detail.get("redacted", {}).items()}


def hash_event(previous: str, event: HashedValues) -> str:
    """Return the hash of an event, 64 hexadecimal digits.

    Args:
        previous: hash of the event before; empty for the first.
        event: its values.

    >>> moment = datetime(2026, 1, 2, tzinfo=UTC)
    >>> hash_event("", HashedValues(1, moment, "ada@lab", "queue.paused", "queue:stat", "{}"))[:16]
    '7c15a269e352b836'
    """
    moment = event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    texts = (json.dumps(text, ensure_ascii=False) for text in (event.actor, event.action, event.subject))
    lines = (previous, str(event.id), moment, *texts, event.detail)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
