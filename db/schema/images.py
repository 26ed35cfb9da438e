"""Cases, their images, and what ingest took and rejected."""

from __future__ import annotations

from datetime import datetime
from typing import get_args

from sqlalchemy import CheckConstraint, ForeignKey, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.enums import BatchKind
from db.schema.base import Base, created, identity, one_of


class Case(Base):
    """A patient's sample, under the laboratory's pseudonymous accession number."""

    __tablename__ = "cases"

    id: Mapped[int] = identity()
    accession: Mapped[str] = mapped_column(unique=True)
    lab: Mapped[str | None]
    tissue: Mapped[str | None]
    created_at: Mapped[datetime] = created()


class IngestBatch(Base):
    """One run of ingest with counts of its new, duplicate and rejected files."""

    __tablename__ = "ingest_batches"
    __table_args__ = (CheckConstraint(one_of("kind", get_args(BatchKind)), name="kind"),)

    id: Mapped[int] = identity()
    kind: Mapped[str]
    source: Mapped[str]
    started_at: Mapped[datetime] = created()
    finished_at: Mapped[datetime | None]
    new_count: Mapped[int] = mapped_column(server_default=text("0"))
    duplicate_count: Mapped[int] = mapped_column(server_default=text("0"))
    rejected_count: Mapped[int] = mapped_column(server_default=text("0"))


class Rejection(Base):
    """A file that ingest rejected, with the reason."""

    __tablename__ = "rejections"
    __table_args__ = (Index(None, "batch_id"),)

    id: Mapped[int] = identity()
    batch_id: Mapped[int] = mapped_column(ForeignKey("ingest_batches.id", ondelete="CASCADE"))
    file_name: Mapped[str]
    reason: Mapped[str]
    sentence: Mapped[str]
    created_at: Mapped[datetime] = created()


class Image(Base):
    """A metaphase image in the object store; identical bytes share one row."""

    __tablename__ = "images"
    __table_args__ = (UniqueConstraint("case_id", "id"), Index(None, "batch_id"))

    id: Mapped[int] = identity()
    sha256: Mapped[str] = mapped_column(unique=True)
    object_key: Mapped[str]
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"))
    batch_id: Mapped[int | None] = mapped_column(ForeignKey("ingest_batches.id"))
    file_name: Mapped[str]
    format: Mapped[str]
    byte_count: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
    bit_depth: Mapped[int] = mapped_column(SmallInteger)
    slide: Mapped[str | None]
    culture: Mapped[str | None] = mapped_column(doc="Culture that the cell was grown in.")
    colony: Mapped[str | None] = mapped_column(doc="Colony of an in situ culture; its name is unique in the culture.")
    channel: Mapped[str | None] = mapped_column(doc="Channel that is analysed, by name or number; empty if not chosen.")
    plane: Mapped[int | None] = mapped_column(SmallInteger, doc="Plane that is analysed, from 0; empty if not chosen.")
    banding: Mapped[str | None]
    microscope: Mapped[str | None]
    captured_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()
