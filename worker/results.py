"""From what a pipeline found to the rows that are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from db.queue import AnalysisResult
from karyotyping.cell import CellAnalysis, Chromosome, Quality


def to_result(cell: CellAnalysis, seconds: float, artefacts: Mapping[str, str]) -> AnalysisResult:
    """The rows of ``cell``, whose analysis took ``seconds`` and left the objects ``artefacts`` by name."""
    return AnalysisResult(
        seconds=seconds,
        iscn=cell.iscn,
        artefacts=artefacts,
        chromosomes=[_chromosome(chromosome) for chromosome in cell.chromosomes],
        qc=_quality(cell.quality),
    )


def _chromosome(chromosome: Chromosome) -> dict[str, Any]:
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


def _quality(quality: Quality) -> dict[str, Any]:
    columns = {column.name: getattr(quality, column.name) for column in fields(quality)}
    return columns | {"flags": sorted(quality.flags)}
