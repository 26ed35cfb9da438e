"""Networks, the pipeline versions that use them, and the aliases of the versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, created, identity


class Model(Base):
    """A network's weights, identified by the digest of their bytes."""

    __tablename__ = "models"

    id: Mapped[int] = identity()
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    card: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = created()


class Pipeline(Base):
    """An immutable pipeline version.

    The document holds model digests, parameters and code version; the digest is its own.
    """

    __tablename__ = "pipelines"

    id: Mapped[int] = identity()
    digest: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = created()
    retired_at: Mapped[datetime | None] = mapped_column(
        doc="Since when no new analysis may use it; empty if it can be chosen."
    )


class PipelineAlias(Base):
    """A name that moves between pipeline versions, such as ``production``."""

    __tablename__ = "pipeline_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    updated_at: Mapped[datetime] = created()
