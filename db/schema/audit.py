"""What people do: reviews, audit events and keys of the HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, created, identity


class Review(Base):
    """A person's correction of one chromosome or one cell. Append-only."""

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "analysis_id"),)

    id: Mapped[int] = identity()
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id"))
    reviewer: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = created()


class AuditEvent(Base):
    """An action of a person on a row. Append-only."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = identity()
    at: Mapped[datetime] = created()
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class ApiKey(Base):
    """A key of the HTTP API; only its hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[int] = identity()
    name: Mapped[str]
    key_sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = created()
    revoked_at: Mapped[datetime | None]
