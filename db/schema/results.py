"""Results of analyses and of cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from db.schema.base import Base, created, one_of


class Chromosome(Base):
    """One chromosome that one analysis detected. Hash-partitioned by analysis."""

    __tablename__ = "chromosomes"
    __table_args__ = (
        CheckConstraint("class_id BETWEEN 1 AND 24", name="class_id"),
        CheckConstraint(one_of("orientation", ("p_up", "p_down", "unknown")), name="orientation"),
        Index("ix_chromosomes_unknown", "analysis_id", postgresql_where=text("class_id IS NULL")),
        {"postgresql_partition_by": "HASH (analysis_id)"},
    )

    analysis_id: Mapped[int] = mapped_column(ForeignKey("analyses.id", ondelete="CASCADE"), primary_key=True)
    ordinal: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    box: Mapped[list[int]] = mapped_column(ARRAY(Integer), doc="x, y, width, height in pixels of the image.")
    mask: Mapped[str] = mapped_column(doc="Counts of the COCO compressed run lengths; the size is the image's.")
    class_id: Mapped[int | None] = mapped_column(SmallInteger)
    class_score: Mapped[float]
    score: Mapped[float] = mapped_column(doc="Probability of exactly one whole chromosome.")
    top5_classes: Mapped[list[int]]
    top5_scores: Mapped[list[float]]
    length: Mapped[float]
    width: Mapped[float]
    centromere_index: Mapped[float | None] = mapped_column(
        doc="Share of the p arm in the length; of the shorter arm if ``orientation`` is unknown."
    )
    orientation: Mapped[str]
    embedding: Mapped[bytes | None] = mapped_column(
        doc="Unit vector of the embedding network, float16, little-endian; empty without that network."
    )
    flags: Mapped[list[str]]


class QcMetrics(Base):
    """Quality control of one analysis, with the fields of ``karyotyping.model.Quality``."""

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
    unexplained_objects: Mapped[int | None] = mapped_column(
        SmallInteger, doc="Objects that may be chromosomes and are none in the result; empty if not measured."
    )
    edge_contact_count: Mapped[int] = mapped_column(SmallInteger)
    class_confidence: Mapped[float]
    score: Mapped[float]
    flags: Mapped[list[str]]
    band_level: Mapped[int | None] = mapped_column(
        SmallInteger, doc="Bands per haploid set that the cell resolves; empty if unknown."
    )
    band_level_low: Mapped[int | None] = mapped_column(SmallInteger, doc="Lower end of its interval of 90 %.")
    band_level_high: Mapped[int | None] = mapped_column(SmallInteger, doc="Upper end of its interval of 90 %.")
    outline_edits: Mapped[float | None] = mapped_column(doc="Expected chromosomes that are missed or falsely found.")
    class_edits: Mapped[float | None] = mapped_column(doc="Expected chromosomes of a wrong class.")


class CaseResult(Base):
    """The summary of a case by one pipeline.

    It is ``stale`` from the end of an analysis of the case to the next summary.
    """

    __tablename__ = "case_results"
    __table_args__ = (
        CheckConstraint(one_of("state", ("stale", "done")), name="state"),
        CheckConstraint(one_of("resolution", ("resolved", "one_cell", "not_resolved")), name="resolution"),
        CheckConstraint(
            "iscn IS NULL OR (resolution IS NOT NULL AND resolution <> 'not_resolved')", name="iscn_is_resolved"
        ),
        Index("ix_case_results_stale", "updated_at", postgresql_where=text("state = 'stale'")),
    )

    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    pipeline_id: Mapped[int] = mapped_column(ForeignKey("pipelines.id"), primary_key=True)
    state: Mapped[str] = mapped_column(server_default=text("'stale'"))
    revision: Mapped[int] = mapped_column(
        server_default=text("1"),
        doc="Grows when an analysis of the case ends; summaries of older revisions are rejected.",
    )
    sent_at: Mapped[datetime | None] = mapped_column(doc="When the latest message for the summary was sent.")
    image_count: Mapped[int | None]
    cell_count: Mapped[int | None]
    modal_count: Mapped[int | None] = mapped_column(SmallInteger)
    count_min: Mapped[int | None] = mapped_column(SmallInteger, doc="Smallest chromosome count of a cell.")
    count_max: Mapped[int | None] = mapped_column(SmallInteger, doc="Largest chromosome count of a cell.")
    iscn: Mapped[str | None] = mapped_column(doc="Karyotype of the case; empty if it is not resolved.")
    resolution: Mapped[str | None] = mapped_column(doc="How the cells make the karyotype, or that they do not.")
    why: Mapped[str | None] = mapped_column(doc="Reason of the resolution, a sentence.")
    voters: Mapped[int | None] = mapped_column(doc="Complete cells with the modal count.")
    karyotype_agreement: Mapped[float | None] = mapped_column(doc="Share of the voters with exactly one karyotype.")
    summary: Mapped[dict[str, Any] | None] = mapped_column(
        doc="``karyotyping.case_summary.CaseSummary`` as JSON: count distribution, consensus copies, ranking of images."
    )
    artefacts: Mapped[dict[str, Any] | None]
    updated_at: Mapped[datetime] = created()
