"""The report of one run: COCO results, tables, pictures and an HTML page in one folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.schema import Analysis, Case, Chromosome, Image, Pipeline, QcMetrics
from db.spelling import normalise
from ingest.rejections import Rejected
from karyotyping.image.decode import Limits, decode
from karyotyping.nomenclature.classes import class_name
from karyotyping.rendering.png import encode_grey
from karyotyping.rows import CELL_COLUMNS, ChromosomeRow, CocoResult, cell_row, coco_results
from reports.cases import CASE_COLUMNS, case_rows
from reports.file_names import safe_stem
from reports.folder import open_report
from reports.html import render
from reports.tables import write_csv, write_parquet
from storage import ObjectStore

_PICTURES = {
    "karyogram": ("karyograms", ".png"),
    "karyogram_svg": ("karyograms", ".svg"),
    "overlay": ("overlays", ".png"),
}
"""Folder and suffix by artefact; analyses of earlier versions lack some of them."""
_ORIGINAL = "original"
"""Name of the picture that is no artefact: the image itself."""
_Paths = Mapping[str, str | None]
"""Path of the picture by artefact; None if there is none."""


@dataclass(frozen=True, slots=True)
class ReportedImage:
    """One analysed image of the report.

    ``karyogram``, ``karyogram_svg``, ``overlay`` and ``original`` are paths relative to the report; None if there is no
    such picture. ``original`` is the image as PNG, for the analyses with an overlay.
    ``cell`` is a row of ``CELL_COLUMNS``.
    """

    file_name: str
    case: str
    state: str
    iscn: str | None
    reason: str | None
    sentence: str | None
    karyogram: str | None
    karyogram_svg: str | None
    overlay: str | None
    original: str | None
    cell: Mapping[str, Any]


class _Record(NamedTuple):
    image: Image
    case: Case
    analysis: Analysis
    qc: QcMetrics | None


def write_run_report(
    session: Session,
    store: ObjectStore,
    folder: Path,
    *,
    image_ids: Sequence[int],
    pipeline_id: int,
    rejected: Sequence[Rejected],
    passed_over: str = "",
) -> list[ReportedImage]:
    """Write the results of one pipeline for ``image_ids`` to ``folder``.

    Args:
        session: an open session.
        store: where the artefacts are.
        folder: is created; the files of an earlier report in it are removed.
        image_ids: images, in the order of the report.
        pipeline_id: whose results to write.
        rejected: rejections of the ingest, listed in the report.
        passed_over: sentence about files that are clearly no images.

    Raises:
        ReportFolderError: the folder holds files that are no report; nothing is written.
        StorageError: an artefact or an image could not be read.
    """
    records = list(_records(session, image_ids, pipeline_id))
    pictures = _picture_paths(records)
    tables = ("coco.json", "cells.csv", "cases.csv", "chromosomes.parquet", "report.html")
    files = [*tables, *(path for paths in pictures for path in paths.values() if path is not None)]
    pipeline = session.get_one(Pipeline, pipeline_id)
    with open_report(folder, files, pipeline={"name": pipeline.name, "digest": pipeline.digest}):
        images = _write_images(session, store, folder, list(zip(records, pictures, strict=True)))
        cases = case_rows(session, {record.case.id for record in records}, pipeline_id)
        write_csv(folder / "cells.csv", CELL_COLUMNS, (image.cell for image in images))
        write_csv(folder / "cases.csv", CASE_COLUMNS, cases)
        page = render("run.html", cases=cases, images=images, rejected=rejected, passed_over=passed_over)
        (folder / "report.html").write_text(page, encoding="utf-8")
    return images


def _write_images(
    session: Session, store: ObjectStore, folder: Path, records: Sequence[tuple[_Record, _Paths]]
) -> list[ReportedImage]:
    """Write the pictures and the chromosomes of every image."""
    images: list[ReportedImage] = []
    items: list[CocoResult] = []
    parquet_rows: list[dict[str, Any]] = []
    for number, (record, pictures) in enumerate(records, start=1):
        image, chromosomes = record.image, _chromosomes(session, record.analysis)
        items += coco_results(image.file_name, number, (image.height, image.width), chromosomes)
        parquet_rows += [_parquet_row(image.file_name, record.case.accession, row) for row in chromosomes]
        for name, path in pictures.items():
            if path is not None:
                (folder / path).write_bytes(_picture(store, record, name))
        images.append(_reported(record, pictures))
    (folder / "coco.json").write_text(json.dumps(items))
    if parquet_rows:
        write_parquet(folder / "chromosomes.parquet", parquet_rows)
    return images


def _picture(store: ObjectStore, record: _Record, name: str) -> bytes:
    """Return an artefact of an analysis, or the image itself.

    Every browser shows a PNG of 8 bits, so other images are converted.
    """
    if name != _ORIGINAL:
        return store.get((record.analysis.artefacts or {})[name])
    image = record.image
    data = store.get(image.object_key)
    if image.format == "PNG" and image.bit_depth == 8:
        return data
    limits = Limits(max_bytes=len(data), max_pixels=image.width * image.height, min_side=1)
    return encode_grey(decode(data, limits, image.channel, image.plane).pixels)


def _records(session: Session, image_ids: Sequence[int], pipeline_id: int) -> Iterator[_Record]:
    """Yield the analysed images in the order of ``image_ids``."""
    query = (
        select(Image, Case, Analysis, QcMetrics)
        .join(Case, Image.case_id == Case.id)
        .join(Analysis, Analysis.image_id == Image.id)
        .outerjoin(QcMetrics, QcMetrics.analysis_id == Analysis.id)
        .where(Image.id.in_(image_ids), Analysis.pipeline_id == pipeline_id)
    )
    by_image = {row[0].id: _Record(*row) for row in session.execute(query)}
    return (by_image[image_id] for image_id in image_ids if image_id in by_image)


def _chromosomes(session: Session, analysis: Analysis) -> list[ChromosomeRow]:
    query = select(Chromosome).where(Chromosome.analysis_id == analysis.id).order_by(Chromosome.ordinal)
    return [cast("ChromosomeRow", _columns(row)) for row in session.scalars(query)]


def _reported(record: _Record, pictures: _Paths) -> ReportedImage:
    image, case, analysis, qc = record
    return ReportedImage(
        file_name=image.file_name,
        case=case.accession,
        state=analysis.state,
        iscn=analysis.iscn,
        reason=analysis.reason,
        sentence=analysis.error,
        karyogram=pictures["karyogram"],
        karyogram_svg=pictures["karyogram_svg"],
        overlay=pictures["overlay"],
        original=pictures[_ORIGINAL],
        cell=cell_row(image.file_name, iscn=analysis.iscn, qc=_columns(qc) if qc else None, reason=analysis.reason),
    )


def _picture_paths(records: Sequence[_Record]) -> list[_Paths]:
    """Return the paths of the pictures of each analysis, relative to the report; all differ."""
    stems: set[str] = set()
    paths: list[_Paths] = []
    for image, case, analysis, _ in records:
        readable = safe_stem(f"{case.accession}_{Path(image.file_name).stem}")
        stem = f"{readable}_{image.sha256[:6]}"
        if (key := normalise(stem).casefold()) in stems:
            stem = key = f"{readable}_{image.sha256}"
        stems.add(key.casefold())
        artefacts = analysis.artefacts or {}
        found: dict[str, str | None] = {
            name: f"{folder}/{stem}{suffix}" if artefacts.get(name) is not None else None
            for name, (folder, suffix) in _PICTURES.items()
        }
        found[_ORIGINAL] = f"originals/{stem}.png" if found["overlay"] is not None else None
        paths.append(found)
    return paths


def _parquet_row(file_name: str, accession: str, row: ChromosomeRow) -> dict[str, Any]:
    columns = {name: value for name, value in row.items() if name != "embedding"}
    return {"file_name": file_name, "case": accession, "class": class_name(row["class_id"]), **columns}


def _columns(row: object) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}  # type: ignore[attr-defined]
