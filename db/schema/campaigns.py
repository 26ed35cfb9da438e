"""Re-analyses and the cron schedules that create them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.enums import MissedPolicy, OverlapPolicy, Priority
from db.schema.base import Base, created, identity, one_of


class Schedule(Base):
    """A cron expression that creates campaigns."""

    __tablename__ = "schedules"
    __table_args__ = (
        CheckConstraint(one_of("missed", MissedPolicy), name="missed"),
        CheckConstraint(one_of("overlap", OverlapPolicy), name="overlap"),
    )

    id: Mapped[int] = identity()
    name: Mapped[str] = mapped_column(unique=True)
    cron: Mapped[str]
    timezone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    pipeline: Mapped[str] = mapped_column(doc="Alias, name or digest, resolved when due.")
    filters: Mapped[dict[str, Any]]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    last_due_at: Mapped[datetime] = mapped_column(
        doc="The latest due time with a campaign, or that was skipped; initially the time of creation."
    )
    missed: Mapped[str] = mapped_column(
        server_default=text("'latest'"), doc="Due times that passed while no scheduler ran: ``latest`` or ``skip``."
    )
    overlap: Mapped[str] = mapped_column(
        server_default=text("'allow'"), doc="Due while the campaign before runs: ``allow``, ``wait`` or ``skip``."
    )
    problem: Mapped[str | None] = mapped_column(doc="Why the latest attempt to create a campaign failed.")
    created_at: Mapped[datetime] = created()


class Campaign(Base):
    """A re-analysis of every image that matches ``filters`` by one pipeline."""

    __tablename__ = "campaigns"
    __table_args__ = (UniqueConstraint("schedule_id", "due_at"),)

    id: Mapped[int] = identity()
    name: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    filters: Mapped[dict[str, Any]]
    priority: Mapped[Priority]
    image_count: Mapped[int] = mapped_column(server_default=text("0"), doc="Images that matched.")
    enqueued_count: Mapped[int] = mapped_column(
        server_default=text("0"), doc="Images that had no analysis by this pipeline yet."
    )
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = created()
