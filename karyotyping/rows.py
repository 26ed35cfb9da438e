"""Rows of a cell's analysis: for the tables of the database, for COCO results and for CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, TypedDict

from karyotyping.model import CellAnalysis, Chromosome

CELL_COLUMNS = (
    "file_name", "count", "iscn", "quality", "focus", "contrast", "noise", "spread", "chromosome_width", "clusters",
    "overlaps", "nuclei", "debris", "edge_contacts", "class_confidence", "flags", "rejected",
)  # fmt: skip
_RENAMED = {
    "clusters": "cluster_count",
    "overlaps": "overlap_count",
    "nuclei": "nucleus_count",
    "debris": "debris_count",
    "edge_contacts": "edge_contact_count",
}
"""Columns of a cell's CSV row by the QC metric that they hold."""
_ROUNDED = ("focus", "contrast", "noise", "spread", "chromosome_width", "class_confidence")


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


class CocoResult(TypedDict):
    """One item of a COCO results list."""

    file_name: str
    image_id: int
    category_id: int
    bbox: list[int]
    segmentation: dict[str, Any]
    score: float
    class_score: float


def chromosome_rows(cell: CellAnalysis) -> list[ChromosomeRow]:
    """Return the chromosomes of ``cell`` as rows of table ``chromosomes``."""
    return [_chromosome_row(chromosome) for chromosome in cell.chromosomes]


def quality_row(cell: CellAnalysis) -> dict[str, Any]:
    """Return the quality of ``cell`` as a row of table ``qc_metrics``, without its ``analysis_id``."""
    quality = cell.quality
    return {column.name: getattr(quality, column.name) for column in fields(quality)} | {"flags": sorted(quality.flags)}


def coco_results(
    file_name: str, image_id: int, shape: tuple[int, int], rows: Iterable[ChromosomeRow]
) -> list[CocoResult]:
    """Return the COCO results of one image.

    A chromosome that fits no class is reported under the likeliest one, as COCO knows no unknown category.

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
) -> dict[str, Any]:
    """Return one image as a row of ``CELL_COLUMNS``; ``qc`` is a row of table ``qc_metrics``."""
    row: dict[str, Any] = dict.fromkeys(CELL_COLUMNS) | {"file_name": file_name, "iscn": iscn, "rejected": reason}
    if qc is not None:
        row |= {"count": qc["chromosome_count"], "quality": round(qc["score"], 4)}
        row |= {column: qc[metric] for column, metric in _RENAMED.items()}
        row |= {column: round(qc[column], 4) for column in _ROUNDED}
        row["flags"] = " ".join(sorted(qc["flags"]))
    return row


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
