"""What people do: corrections, sign-offs, audit events and keys of the HTTP API."""

from __future__ import annotations

from datetime import datetime
from typing import Any, get_args

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    FetchedValue,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from db.enums import ReviewAction
from db.schema.base import Base, created, identity, one_of


class Review(Base):
    """A person's correction of one chromosome or one cell of an analysis. Append-only."""

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint(one_of("action", get_args(ReviewAction)), name="action"),
        UniqueConstraint("analysis_id", "follows"),
        Index(None, "analysis_id"),
        Index(None, "case_id", "id"),
    )

    id: Mapped[int] = identity()
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id"))
    follows: Mapped[int] = mapped_column(doc="The review of the analysis before this one; 0 for the first.")
    reviewer: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]] = mapped_column(doc="Fields of the correction of ``karyotyping.review``.")
    created_at: Mapped[datetime] = created()


class SignOff(Base):
    """A person's signature under the corrected result of a case. Append-only.

    A case is signed if its last row has ``position`` equal to ``required``, and nothing was corrected since.
    """

    __tablename__ = "sign_offs"
    __table_args__ = (
        CheckConstraint("required IN (1, 2) AND position BETWEEN 1 AND required", name="position"),
        CheckConstraint("(position = 1) = (first_reader IS NULL)", name="second_names_first"),
        CheckConstraint(
            "first_reader IS NULL OR lower(first_reader) <> lower(reader)",
            name="second_is_another",
        ),
        ForeignKeyConstraint(["follows", "first_reader"], ["sign_offs.id", "sign_offs.reader"]),
        UniqueConstraint("id", "reader"),
        UniqueConstraint("case_id", "follows"),
    )

    id: Mapped[int] = identity()
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    reader: Mapped[str]
    position: Mapped[int] = mapped_column(SmallInteger, doc="1 for the first reader, 2 for the second.")
    required: Mapped[int] = mapped_column(SmallInteger, doc="Readers that the policy asked for at that time.")
    follows: Mapped[int] = mapped_column(doc="The sign-off of the case before this one; 0 for the first.")
    first_reader: Mapped[str | None] = mapped_column(doc="Reader of the sign-off before; empty for a first reader.")
    analysis_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), doc="The results that were signed.")
    last_review_id: Mapped[int] = mapped_column(doc="The last review of the case that was signed; 0 for none.")
    iscn: Mapped[str | None] = mapped_column(doc="Karyotype as signed.")
    result: Mapped[dict[str, Any]] = mapped_column(
        doc="``karyotyping.case_summary.CaseSummary`` of the corrected cells as JSON."
    )
    created_at: Mapped[datetime] = created()


class AuditEvent(Base):
    """An action of a person on a row. Append-only.

    A trigger sets ``id``, ``at`` and ``hash``, one event after the other.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = mapped_column(
        primary_key=True, autoincrement=False, server_default=FetchedValue(), doc="Place in the chain."
    )
    at: Mapped[datetime] = created()
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]
    hash: Mapped[str] = mapped_column(
        server_default=FetchedValue(), doc="SHA-256 of the hash of the event before and of this event's values."
    )


class ApiKey(Base):
    """A key of the HTTP API; only its hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[int] = identity()
    name: Mapped[str]
    key_sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = created()
    revoked_at: Mapped[datetime | None]
