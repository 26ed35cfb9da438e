"""The tables of schema ``karyo``.

States and kinds are text with CHECK constraints, times are UTC, and every constraint has a predictable name, so that a
migration can drop it and an operator can find it.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import (
    ARRAY,
    REAL,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "karyo"
CHROMOSOME_PARTITIONS = 16

ACTIVE = ("pending", "queued", "running")
ENDED = ("done", "failed", "quarantined")
STATES = (*ACTIVE, *ENDED)

BatchKind = Literal["folder", "archive", "manifest", "prefix", "upload"]
"""Kinds of sources that a batch of ingest is read from."""
PRIORITIES = {"stat": 0, "routine": 1, "backlog": 2}
"""Lower runs first."""


def one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL text of a CHECK that ``column`` holds one of ``values``."""
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


class Base(DeclarativeBase):
    """Declarative base: schema, constraint names and the Python types that columns are declared with."""

    metadata = MetaData(
        schema=SCHEMA,
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: DateTime(timezone=True),
        str: Text,
        int: BigInteger,
        float: REAL,
        uuid.UUID: Uuid,
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        list[str]: ARRAY(Text),
        list[int]: ARRAY(SmallInteger),
        list[float]: ARRAY(REAL),
        bytes: LargeBinary,
    }


def _identity() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(always=True), primary_key=True)


def _created() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


class Case(Base):
    """A patient's sample, under the laboratory's pseudonymous accession number."""

    __tablename__ = "cases"

    id: Mapped[int] = _identity()
    accession: Mapped[str] = mapped_column(unique=True)
    lab: Mapped[str | None]
    tissue: Mapped[str | None]
    created_at: Mapped[datetime] = _created()


class IngestBatch(Base):
    """One run of ingest, with what became of every file in it."""

    __tablename__ = "ingest_batches"
    __table_args__ = (CheckConstraint(one_of("kind", get_args(BatchKind)), name="kind"),)

    id: Mapped[int] = _identity()
    kind: Mapped[str]
    source: Mapped[str]
    started_at: Mapped[datetime] = _created()
    finished_at: Mapped[datetime | None]
    new_count: Mapped[int] = mapped_column(server_default=text("0"))
    duplicate_count: Mapped[int] = mapped_column(server_default=text("0"))
    rejected_count: Mapped[int] = mapped_column(server_default=text("0"))


class Rejection(Base):
    """A file that ingest did not take, and why."""

    __tablename__ = "rejections"
    __table_args__ = (Index(None, "batch_id"),)

    id: Mapped[int] = _identity()
    batch_id: Mapped[int] = mapped_column(ForeignKey("ingest_batches.id", ondelete="CASCADE"))
    file_name: Mapped[str]
    reason: Mapped[str]
    sentence: Mapped[str]
    created_at: Mapped[datetime] = _created()


class Image(Base):
    """A metaphase image in the object store. Same bytes, one row."""

    __tablename__ = "images"
    __table_args__ = (Index(None, "case_id"), Index(None, "batch_id"))

    id: Mapped[int] = _identity()
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
    banding: Mapped[str | None]
    microscope: Mapped[str | None]
    captured_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = _created()


class Model(Base):
    """A network's weights, known by the digest of their bytes."""

    __tablename__ = "models"

    id: Mapped[int] = _identity()
    sha256: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    card: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _created()


class Pipeline(Base):
    """An immutable pipeline version: model digests, parameters and code version in one document with its own digest."""

    __tablename__ = "pipelines"

    id: Mapped[int] = _identity()
    digest: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _created()


class PipelineAlias(Base):
    """A name that moves from one pipeline version to the next, such as ``production``."""

    __tablename__ = "pipeline_aliases"

    alias: Mapped[str] = mapped_column(primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    updated_at: Mapped[datetime] = _created()


class Schedule(Base):
    """A cron expression that creates campaigns."""

    __tablename__ = "schedules"

    id: Mapped[int] = _identity()
    name: Mapped[str] = mapped_column(unique=True)
    cron: Mapped[str]
    timezone: Mapped[str] = mapped_column(server_default=text("'UTC'"))
    pipeline: Mapped[str] = mapped_column(doc="Alias, name or digest, resolved when due.")
    filters: Mapped[dict[str, Any]]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    last_due_at: Mapped[datetime] = mapped_column(doc="The latest due time that has been acted on; starts at creation.")
    problem: Mapped[str | None] = mapped_column(doc="Why the due time could not be acted on when last tried.")
    created_at: Mapped[datetime] = _created()


class Campaign(Base):
    """A re-analysis: every image that matches ``filters`` is to be analysed by one pipeline."""

    __tablename__ = "campaigns"
    __table_args__ = (UniqueConstraint("schedule_id", "due_at"),)

    id: Mapped[int] = _identity()
    name: Mapped[str]
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    filters: Mapped[dict[str, Any]]
    priority: Mapped[int] = mapped_column(SmallInteger)
    image_count: Mapped[int] = mapped_column(server_default=text("0"), doc="Images that matched.")
    enqueued_count: Mapped[int] = mapped_column(
        server_default=text("0"), doc="Images that had no analysis by this pipeline yet."
    )
    schedule_id: Mapped[int | None] = mapped_column(ForeignKey("schedules.id", ondelete="SET NULL"))
    due_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = _created()


class Queue(Base):
    """All work of one priority. Whoever hands it out holds this row's lock, so that bounds and shares are exact."""

    __tablename__ = "queues"

    priority: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    paused_at: Mapped[datetime | None] = mapped_column(doc="Since when nothing of it is handed out; empty: it runs.")
    paused_by: Mapped[str | None]
    served: Mapped[int] = mapped_column(
        server_default=text("0"), doc="Virtual time: the latest turn that was handed out."
    )


class Lane(Base):
    """One laboratory's line in one queue. Lanes take turns; inside a lane, cases go round by round."""

    __tablename__ = "lanes"
    __table_args__ = (UniqueConstraint("priority", "lab"),)

    id: Mapped[int] = _identity()
    priority: Mapped[int] = mapped_column(SmallInteger, ForeignKey("queues.priority"))
    lab: Mapped[str] = mapped_column(doc="Of the cases; empty for those of no named laboratory.")
    served: Mapped[int] = mapped_column(
        server_default=text("0"), doc="Turn of its next image, if the queue is not past it."
    )
    round: Mapped[int] = mapped_column(
        server_default=text("0"), doc="The latest round of which an image was handed out."
    )


class Worker(Base):
    """A worker that has lately said that it lives."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    processes: Mapped[int] = mapped_column(SmallInteger, doc="Of its pool: images of so many chunks are worked on.")
    started_at: Mapped[datetime] = _created()
    seen_at: Mapped[datetime] = _created()


class Analysis(Base):
    """One image to be analysed, or analysed, by one pipeline. This table is the queue of record."""

    __tablename__ = "analyses"
    __table_args__ = (
        UniqueConstraint("image_id", "pipeline_id"),
        CheckConstraint(one_of("state", STATES), name="state"),
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
        Index(None, "pipeline_id", "state"),
        Index(None, "campaign_id", postgresql_where=text("campaign_id IS NOT NULL")),
    )

    id: Mapped[int] = _identity()
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"))
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaigns.id", ondelete="SET NULL"))
    state: Mapped[str] = mapped_column(server_default=text("'pending'"))
    priority: Mapped[int] = mapped_column(SmallInteger)
    lane_id: Mapped[int] = mapped_column(ForeignKey("lanes.id"))
    round: Mapped[int] = mapped_column(doc="Images of a case beyond the first few go in later rounds of their lane.")
    not_before: Mapped[datetime | None] = mapped_column(doc="A failed attempt is repeated after this time.")
    attempts: Mapped[int] = mapped_column(
        SmallInteger, server_default=text("0"), doc="Counted, and committed, before the work of each attempt starts."
    )
    shared: Mapped[bool] = mapped_column(
        server_default=text("false"),
        doc="The last attempt had other images in hand beside this one; a death of the process is blamed on none.",
    )
    lease_token: Mapped[uuid.UUID | None] = mapped_column(doc="Fencing token: only its holder may write results.")
    lease_expires_at: Mapped[datetime | None]
    worker: Mapped[str | None]
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None] = mapped_column(doc="When work under the present lease began; empty before")
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float | None] = mapped_column(
        doc="Of computing: decoding, analysis, pictures. Not of fetching, storing or waiting for either."
    )
    iscn: Mapped[str | None]
    reason: Mapped[str | None]
    error: Mapped[str | None] = mapped_column(doc="The human sentence that goes with ``reason``.")
    artefacts: Mapped[dict[str, Any] | None] = mapped_column(
        doc="Object keys by name: ``karyogram``, ``karyogram_svg``, ``overlay``."
    )
    created_at: Mapped[datetime] = _created()


class Chromosome(Base):
    """One chromosome that one analysis found. Hash-partitioned by analysis."""

    __tablename__ = "chromosomes"
    __table_args__ = (
        CheckConstraint("class_id BETWEEN 1 AND 24", name="class_id"),
        CheckConstraint(one_of("orientation", ("p_up", "p_down", "unknown")), name="orientation"),
        {"postgresql_partition_by": "HASH (analysis_id)"},
    )

    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    box: Mapped[list[int]] = mapped_column(ARRAY(Integer), doc="x, y, width, height in pixels of the image.")
    mask: Mapped[str] = mapped_column(doc="Counts of the COCO compressed run lengths; the size is the image's.")
    class_id: Mapped[int | None] = mapped_column(SmallInteger)
    class_score: Mapped[float]
    score: Mapped[float] = mapped_column(doc="Probability that it is exactly one whole chromosome.")
    top5_classes: Mapped[list[int]]
    top5_scores: Mapped[list[float]]
    length: Mapped[float]
    width: Mapped[float]
    centromere_index: Mapped[float | None] = mapped_column(
        doc="The p arm's share of the length; that of the shorter arm if ``orientation`` is unknown."
    )
    orientation: Mapped[str]
    embedding: Mapped[bytes | None] = mapped_column(
        doc="Unit vector of the embedding network, float16, little-endian; empty without that network."
    )
    flags: Mapped[list[str]]


class QcMetrics(Base):
    """Quality control of one analysis; the columns are the fields of ``karyotyping.model.Quality``."""

    __tablename__ = "qc_metrics"
    __table_args__ = (
        CheckConstraint(one_of("contrast_polarity", ("dark_on_light", "light_on_dark")), name="contrast_polarity"),
    )

    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    chromosome_count: Mapped[int] = mapped_column(SmallInteger)
    contrast_polarity: Mapped[str]
    focus: Mapped[float]
    contrast: Mapped[float]
    noise: Mapped[float]
    background_unevenness: Mapped[float]
    spread: Mapped[float]
    chromosome_width: Mapped[float]
    cluster_count: Mapped[int] = mapped_column(SmallInteger)
    overlap_count: Mapped[int] = mapped_column(SmallInteger)
    nucleus_count: Mapped[int] = mapped_column(SmallInteger)
    debris_count: Mapped[int] = mapped_column(SmallInteger)
    edge_contact_count: Mapped[int] = mapped_column(SmallInteger)
    class_confidence: Mapped[float]
    score: Mapped[float]
    flags: Mapped[list[str]]


class CaseResult(Base):
    """What one pipeline says of a case. ``stale`` until summarised after its last analysis ended."""

    __tablename__ = "case_results"
    __table_args__ = (
        CheckConstraint(one_of("state", ("stale", "done")), name="state"),
        Index("ix_case_results_stale", "updated_at", postgresql_where=text("state = 'stale'")),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default=text("'stale'"))
    revision: Mapped[int] = mapped_column(
        server_default=text("1"),
        doc="Grows whenever an analysis of the case ends; a summary made from an older revision is not written.",
    )
    sent_at: Mapped[datetime | None] = mapped_column(doc="When a message asking for the summary was last sent.")
    image_count: Mapped[int | None]
    cell_count: Mapped[int | None]
    modal_count: Mapped[int | None] = mapped_column(SmallInteger)
    iscn: Mapped[str | None]
    summary: Mapped[dict[str, Any] | None] = mapped_column(
        doc="``karyotyping.case_summary.CaseSummary`` as JSON: count distribution, consensus copies, ranking of images."
    )
    artefacts: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime] = _created()


class Review(Base):
    """A person's correction of one chromosome or one cell. Append-only."""

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "analysis_id"),)

    id: Mapped[int] = _identity()
    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id"))
    reviewer: Mapped[str]
    action: Mapped[str]
    detail: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = _created()


class AuditEvent(Base):
    """Who did what to which row. Append-only."""

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "at"),)

    id: Mapped[int] = _identity()
    at: Mapped[datetime] = _created()
    actor: Mapped[str]
    action: Mapped[str]
    subject: Mapped[str]
    detail: Mapped[dict[str, Any]]


class ApiKey(Base):
    """A key of the HTTP API; only its hash is stored."""

    __tablename__ = "api_keys"

    id: Mapped[int] = _identity()
    name: Mapped[str]
    key_sha256: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime] = _created()
    revoked_at: Mapped[datetime | None]
