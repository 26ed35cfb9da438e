"""Audit trail: who did what to which row, when and why. Append-only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import AuditEvent


def append(session: Session, *, actor: str, action: str, subject: str, **detail: Any) -> None:
    """Record an action in the caller's transaction, so that both happen or neither does.

    Args:
        session: an open transaction.
        actor: who acts, as ``user@host``.
        action: stable key, such as ``pipeline.promoted``.
        subject: kind and key of the row, such as ``pipeline:DIGEST``.
        detail: everything else as JSON.
    """
    session.add(AuditEvent(actor=actor, action=action, subject=subject, detail=detail))
    session.flush()


def list_events(session: Session, *actions: str) -> Sequence[AuditEvent]:
    """Return the events with one of these ``actions``, oldest first."""
    return session.scalars(select(AuditEvent).where(AuditEvent.action.in_(actions)).order_by(AuditEvent.id)).all()
