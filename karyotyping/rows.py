"""Rows of a cell's analysis for the tables of the database, for COCO results and for CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypedDict, cast

from karyotyping.model import CellAnalysis, Chromosome, RunLengths


class ChromosomeRow(TypedDict):
    """One row of table ``chromosomes`` without its ``analysis_id``."""

    ordinal: int
    box: list[int]
    mask: str
    class_id: int | None
    class_score: float
    score: float
    top5_classes: list[int]
    top5_scores: list[float]
    length: float
    width: float
    centromere_index: float | None
    orientation: str
    embedding: bytes | None
    flags: list[str]


class QualityRow(TypedDict):
    """One row of table ``qc_metrics`` without its ``analysis_id``."""

    chromosome_count: int
    contrast_polarity: str
    focus: float
    contrast: float
    noise: float
    background_unevenness: float
    spread: float
    chromosome_width: float
    cluster_count: int
    overlap_count: int
    nucleus_count: int
    debris_count: int
    unexplained_objects: int
    edge_contact_count: int
    class_confidence: float
    score: float
    flags: list[str]
    band_level: int | None
    band_level_low: int | None
    band_level_high: int | None
    outline_edits: float | None
    class_edits: float | None


class CocoResult(TypedDict):
    """One item of a COCO results list."""

    file_name: str
    image_id: int
    category_id: int
    bbox: list[int]
    segmentation: RunLengths
    score: float
    class_score: float


class CellRow(TypedDict):
    """One row of ``cells.csv``; metrics are None for an image without an analysis."""

    file_name: str
    count: int | None
    iscn: str | None
    quality: float | None
    focus: float | None
    contrast: float | None
    noise: float | None
    spread: float | None
    chromosome_width: float | None
    clusters: int | None
    overlaps: int | None
    nuclei: int | None
    debris: int | None
    unexplained_objects: int | None
    edge_contacts: int | None
    class_confidence: float | None
    band_level: int | None
    expected_edits: float | None
    flags: str | None
    rejected: str | None


CELL_COLUMNS = tuple(CellRow.__annotations__)
"""Columns of ``cells.csv`` in order."""


def chromosome_rows(cell: CellAnalysis) -> list[ChromosomeRow]:
    """Return the chromosomes of ``cell`` as rows of table ``chromosomes``."""
    return [_chromosome_row(chromosome) for chromosome in cell.chromosomes]


def quality_row(cell: CellAnalysis) -> QualityRow:
    """Return the quality of ``cell`` as a row of table ``qc_metrics``."""
    quality = cell.quality
    row = {column.name: getattr(quality, column.name) for column in fields(quality)}
    return cast("QualityRow", row | {"flags": sorted(quality.flags)})


def coco_results(
    file_name: str, image_id: int, shape: tuple[int, int], rows: Iterable[ChromosomeRow]
) -> list[CocoResult]:
    """Return the COCO results of one image.

    COCO has no unknown category, so a chromosome without a class has its most probable one.

    Args:
        file_name: name of the image, as its truth gives it.
        image_id: id of the image in the results list.
        shape: (H, W) of the image in pixels.
        rows: rows of table ``chromosomes``.
    """
    return [
        {
            "file_name": file_name,
            "image_id": image_id,
            "category_id": row["class_id"] or row["top5_classes"][0],
            "bbox": list(row["box"]),
            "segmentation": {"size": list(shape), "counts": row["mask"]},
            "score": round(row["score"], 4),
            "class_score": round(row["class_score"], 4),
        }
        for row in rows
    ]


def cell_row(
    file_name: str, *, iscn: str | None = None, qc: Mapping[str, Any] | None = None, reason: str | None = None
) -> CellRow:
    """Return one image as a row of ``cells.csv``.

    Args:
        file_name: name of the image.
        iscn: its karyotype; None if it is not called.
        qc: its row of table ``qc_metrics``.
        reason: reason of its rejection.
    """

    def metric(column: str) -> Any:
        return None if qc is None else qc[column]

    def rounded(column: str) -> float | None:
        return None if qc is None else round(qc[column], 4)

    predicted = qc is not None and qc["outline_edits"] is not None
    edits = round(metric("outline_edits") + metric("class_edits"), 2) if predicted else None
    return {
        "file_name": file_name,
        "count": metric("chromosome_count"),
        "iscn": iscn,
        "quality": rounded("score"),
        "focus": rounded("focus"),
        "contrast": rounded("contrast"),
        "noise": rounded("noise"),
        "spread": rounded("spread"),
        "chromosome_width": rounded("chromosome_width"),
        "clusters": metric("cluster_count"),
        "overlaps": metric("overlap_count"),
        "nuclei": metric("nucleus_count"),
        "debris": metric("debris_count"),
        "unexplained_objects": metric("unexplained_objects"),
        "edge_contacts": metric("edge_contact_count"),
        "class_confidence": rounded("class_confidence"),
        "band_level": metric("band_level"),
        "expected_edits": edits,
        "flags": None if qc is None else " ".join(sorted(qc["flags"])),
        "rejected": reason,
    }


def _chromosome_row(chromosome: Chromosome) -> ChromosomeRow:
    embedding = chromosome.embedding
    return {
        "ordinal": chromosome.ordinal,
        "box": list(chromosome.box),
        "mask": chromosome.mask["counts"],
        "class_id": chromosome.class_id,
        "class_score": chromosome.class_score,
        "score": chromosome.score,
        "top5_classes": [class_id for class_id, _ in chromosome.top5],
        "top5_scores": [score for _, score in chromosome.top5],
        "length": chromosome.length,
        "width": chromosome.width,
        "centromere_index": chromosome.centromere_index,
        "orientation": chromosome.orientation,
        "embedding": None if embedding is None else embedding.astype("<f2").tobytes(),
        "flags": sorted(chromosome.flags),
    }
