"""The queue of record: analyses, the queues and lanes that order them, and the workers."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from db.enums import ENDED, Priority, State
from db.schema.base import Base, created, identity, one_of


class Queue(Base):
    """All work of one priority.

    A scheduler locks this row to claim analyses, so bounds and shares are exact.
    """

    __tablename__ = "queues"

    priority: Mapped[Priority] = mapped_column(primary_key=True, autoincrement=False)
    paused_at: Mapped[datetime | None] = mapped_column(doc="Since when the queue is paused; empty if it is not.")
    paused_by: Mapped[str | None]
    served: Mapped[int] = mapped_column(server_default=text("0"), doc="Virtual time: the latest turn that was claimed.")


class Lane(Base):
    """One laboratory's share of one queue.

    Lanes take turns; inside a lane, cases run round by round.
    """

    __tablename__ = "lanes"
    __table_args__ = (UniqueConstraint("priority", "lab"),)

    id: Mapped[int] = identity()
    priority: Mapped[Priority] = mapped_column(ForeignKey("queues.priority"))
    lab: Mapped[str] = mapped_column(doc="Laboratory of the cases; empty if none is named.")
    served: Mapped[int] = mapped_column(
        server_default=text("0"), doc="Turn of the next image, unless the queue's is later."
    )
    round: Mapped[int] = mapped_column(server_default=text("0"), doc="The latest round with a claimed image.")


class Worker(Base):
    """A worker that has sent a heartbeat."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    processes: Mapped[int] = mapped_column(
        SmallInteger, doc="Processes of the worker's pool; each processes one chunk at a time."
    )
    started_at: Mapped[datetime] = created()
    seen_at: Mapped[datetime] = created()
    code_version: Mapped[str | None] = mapped_column(doc="Version of karyoflow; it runs only pipelines of this one.")
    networks: Mapped[list[str] | None] = mapped_column(doc="Digests of the networks that are installed.")


class Analysis(Base):
    """The analysis of one image by one pipeline. This table is the queue of record."""

    __tablename__ = "analyses"
    __table_args__ = (
        UniqueConstraint("image_id", "pipeline_id"),
        ForeignKeyConstraint(["case_id", "image_id"], ["images.case_id", "images.id"]),
        CheckConstraint(one_of("state", State), name="state"),
        CheckConstraint("(state = 'running') = (lease_token IS NOT NULL)", name="running_is_leased"),
        CheckConstraint("(lease_token IS NULL) = (lease_expires_at IS NULL)", name="lease_expires"),
        CheckConstraint(f"({one_of('state', ENDED)}) = (finished_at IS NOT NULL)", name="ended_is_finished"),
        CheckConstraint("state NOT IN ('failed', 'quarantined') OR reason IS NOT NULL", name="failure_has_reason"),
        CheckConstraint("state <> 'done' OR attempts > 0", name="done_was_begun"),
        CheckConstraint("state = 'pending' OR not_before IS NULL", name="deferred_is_pending"),
        Index(
            "ix_analyses_ready",
            "lane_id",
            "round",
            "id",
            postgresql_where=text("state = 'pending' AND not_before IS NULL"),
        ),
        Index(
            "ix_analyses_deferred",
            "not_before",
            postgresql_where=text("state = 'pending' AND not_before IS NOT NULL"),
        ),
        Index("ix_analyses_queued", "priority", "queued_at", postgresql_where=text("state = 'queued'")),
        Index("ix_analyses_running", "lease_expires_at", postgresql_where=text("state = 'running'")),
        Index("ix_analyses_done", "pipeline_id", "finished_at", postgresql_where=text("state = 'done'")),
        Index("ix_analyses_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_analyses_failed", "finished_at", postgresql_where=text("state IN ('failed', 'quarantined')")),
        Index(None, "pipeline_id", "case_id", postgresql_include=["state", "finished_at"]),
        Index(
            "ix_analyses_active",
            "pipeline_id",
            "state",
            postgresql_where=text("state IN ('pending', 'queued', 'running')"),
        ),
        Index(None, "campaign_id", postgresql_where=text("campaign_id IS NOT NULL")),
    )

    id: Mapped[int] = identity()
    case_id: Mapped[int] = mapped_column(doc="Case of the image.")
    image_id: Mapped[int]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id", ondelete="SET NULL"))
    state: Mapped[State] = mapped_column(server_default=text("'pending'"))
    priority: Mapped[Priority]
    lane_id: Mapped[int] = mapped_column(ForeignKey("lanes.id"))
    round: Mapped[int] = mapped_column(doc="Turn of the image in its lane; each round takes a few images of a case.")
    not_before: Mapped[datetime | None] = mapped_column(doc="A failed attempt is repeated after this time.")
    attempts: Mapped[int] = mapped_column(
        SmallInteger, server_default=text("0"), doc="Counted, and committed, before the work of each attempt starts."
    )
    shared: Mapped[bool] = mapped_column(
        server_default=text("false"),
        doc="The last attempt shared its process with other images; if the process dies, the attempt does not count.",
    )
    lease_token: Mapped[uuid.UUID | None] = mapped_column(doc="Fencing token: only its holder may write results.")
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None] = mapped_column(
        doc="When the attempt under the present lease began; empty before."
    )
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float | None] = mapped_column(
        doc="Computing time for decoding, analysis and rendering, without fetching, storing and waiting."
    )
    iscn: Mapped[str | None] = mapped_column(doc="Karyotype of the cell; empty if the image is no metaphase.")
    reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(doc="The human sentence that goes with ``reason``.")
    artefacts: Mapped[dict[str, Any] | None] = mapped_column(
        doc="Object keys by name: ``karyogram``, ``karyogram_svg``, ``overlay``."
    )
    removed_artefacts: Mapped[dict[str, Any] | None] = mapped_column(
        doc="Dates at which the retention policy removed artefacts, by name."
    )
    created_at: Mapped[datetime] = created()
