"""The report of one run: COCO results, tables, pictures and an HTML page in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Analysis, Case, CaseResult, Chromosome, Image, QcMetrics
from karyotyping.nomenclature.classes import class_name
from karyotyping.rows import CELL_COLUMNS, ChromosomeRow, CocoResult, cell_row, coco_results
from reports.html import render
from reports.tables import write_csv, write_parquet
from storage import ObjectStore

_PICTURES = {
    "karyogram": ("karyograms", ".png"),
    "karyogram_svg": ("karyograms", ".svg"),
    "overlay": ("overlays", ".png"),
}
"""Folder and suffix of each artefact; an analysis from before there was one of them simply lacks it."""
CASE_COLUMNS = ("case", "images", "cells", "modal_count", "iscn", "pipeline")


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """One analysed image of the report; pictures are paths relative to the report, or None if there are none."""

    file_name: str
    case: str
    state: str
    iscn: str | None
    reason: str | None
    sentence: str | None
    karyogram: str | None
    karyogram_svg: str | None
    overlay: str | None
    cell: Mapping[str, Any]


def _columns(row: object) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}  # type: ignore[attr-defined]


def export(
    session: Session,
    store: ObjectStore,
    folder: Path,
    *,
    image_ids: Sequence[int],
    pipeline_id: int,
    rejected: Sequence[Any],
) -> list[ExportedImage]:
    """Write everything that one pipeline found in ``image_ids`` to ``folder``.

    Args:
        session: an open session.
        store: where the artefacts are.
        folder: is created; files of an earlier report in it are overwritten.
        image_ids: images, in the order in which the report should show them.
        pipeline_id: whose results to write.
        rejected: ``ingest`` rejections, listed in the report.

    Raises:
        StorageError: an artefact could not be read.
    """
    for place, _ in _PICTURES.values():
        (folder / place).mkdir(parents=True, exist_ok=True)
    query = (
        select(Image, Case, Analysis, QcMetrics)
        .join(Case, Image.case_id == Case.id)
        .join(Analysis, Analysis.image_id == Image.id)
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(Image.id.in_(image_ids), Analysis.pipeline_id == pipeline_id)
    )
    found = {image.id: (image, case, analysis, qc) for image, case, analysis, qc in session.execute(query)}
    images: list[ExportedImage] = []
    items: list[CocoResult] = []
    chromosome_rows: list[dict[str, Any]] = []
    for number, image_id in enumerate((i for i in image_ids if i in found), start=1):
        image, case, analysis, qc = found[image_id]
        rows = [
            _columns(row)
            for row in session.scalars(
                select(Chromosome).where(Chromosome.analysis_id == analysis.id).order_by(Chromosome.ordinal)
            )
        ]
        items += coco_results(image.file_name, number, (image.height, image.width), cast("list[ChromosomeRow]", rows))
        chromosome_rows += [_parquet_row(image.file_name, case.accession, row) for row in rows]
        stem = f"{case.accession}_{Path(image.file_name).stem}".replace("/", "_")
        artefacts = analysis.artefacts or {}
        pictures = {
            name: _save(store, artefacts.get(name), folder, f"{place}/{stem}_{image.sha256[:6]}{suffix}")
            for name, (place, suffix) in _PICTURES.items()
        }
        images.append(
            ExportedImage(
                file_name=image.file_name,
                case=case.accession,
                state=analysis.state,
                iscn=analysis.iscn,
                reason=analysis.reason,
                sentence=analysis.error,
                **pictures,
                cell=cell_row(
                    image.file_name, iscn=analysis.iscn, qc=_columns(qc) if qc else None, reason=analysis.reason
                ),
            )
        )
    cases = _case_rows(session, {image.case_id for image, *_ in found.values()}, pipeline_id)
    (folder / "coco.json").write_text(json.dumps(items))
    write_csv(folder / "cells.csv", CELL_COLUMNS, (image.cell for image in images))
    write_csv(folder / "cases.csv", CASE_COLUMNS, cases)
    if chromosome_rows:
        write_parquet(folder / "chromosomes.parquet", chromosome_rows)
    page = render("run.html", cases=cases, images=images, rejected=rejected)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return images


def _save(store: ObjectStore, key: str | None, folder: Path, name: str) -> str | None:
    if key is None:
        return None
    (folder / name).write_bytes(store.get(key))
    return name


def _parquet_row(file_name: str, accession: str, row: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in row.items() if name != "embedding"}
    return {"file_name": file_name, "case": accession, "class": class_name(row["class_id"]), **kept}


def _case_rows(session: Session, case_ids: set[int], pipeline_id: int) -> list[dict[str, Any]]:
    query = (
        select(Case, CaseResult)
        .join(CaseResult, CaseResult.case_id == Case.id)
        .where(Case.id.in_(case_ids), CaseResult.pipeline_id == pipeline_id)
        .order_by(Case.accession)
    )
    return [
        {
            "case": case.accession,
            "images": result.image_count,
            "cells": result.cell_count,
            "modal_count": result.modal_count,
            "iscn": result.iscn,
            "pipeline": result.pipeline_id,
        }
        for case, result in session.execute(query)
    ]
