"""Signed results as training data: COCO instances, and single chromosomes in class folders.

Every image and chromosome names its case, analysis, pipeline digest and the people who reviewed and signed it.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlalchemy.orm import Session

from db.reviews import StoredResult, find_sign_off
from db.schema import Case, Pipeline
from karyotyping.arrays import Mask, Pixels
from karyotyping.image.decode import Limits, decode
from karyotyping.model import decode_mask
from karyotyping.nomenclature.classes import CLASS_NAMES, class_name
from karyotyping.rendering.png import eight_bit, encode_grey
from karyotyping.review import ReviewedCell
from karyotyping.rows import ChromosomeRow
from reports.file_names import safe_stem
from reports.folder import ReportFolderError
from reports.tables import as_text
from reviews import CaseCell, CaseReview, read_case, read_cell
from storage import ObjectStore

INDEX_COLUMNS = (
    "file", "class", "cell", "case", "banding", "upright", "analysis", "chromosome", "pipeline_digest", "reviewers",
    "readers", "corrected",
)  # fmt: skip
_UPRIGHT = {"p_up": 1, "p_down": -1, "unknown": 0}
_FRAME = 4  # px of background around a chromosome


@dataclass(slots=True)
class TrainingData:
    """What was written, and the COCO document as it grows."""

    case_ids: list[int] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)
    annotations: list[dict[str, Any]] = field(default_factory=list)
    crops: list[dict[str, Any]] = field(default_factory=list)
    """Rows of ``INDEX_COLUMNS``."""


def write_training_data(
    session: Session, store: ObjectStore, folder: Path, accessions: Collection[str] = ()
) -> TrainingData:
    """Write the signed cases as ``coco.json``, ``images/`` and ``chromosomes.zip``.

    Args:
        session: an open transaction.
        store: where the images are.
        folder: is missing or empty; nothing is written if no case is signed.
        accessions: the only cases to write, as they are stored; empty for all.

    Raises:
        ReportFolderError: the folder holds files.
        StorageError: an image could not be read.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ReportFolderError(f"{folder} is no empty folder; choose another one")
    data, cases = TrainingData(), _signed_cases(session, accessions)
    if (first := next(cases, None)) is None:
        return data
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "chromosomes.zip", "w") as archive:
        writer = _CellWriter(store, folder / "images", archive, data)
        for review in chain([first], cases):
            data.case_ids.append(review.case.id)
            for cell in review.cells:
                if cell.after is not None:
                    writer.write(review, cell, read_cell(session, cell))
        archive.writestr("index.csv", _csv(data.crops))
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASS_NAMES, start=1)]
    document = {"images": data.images, "annotations": data.annotations, "categories": categories}
    (folder / "coco.json").write_text(json.dumps(document), encoding="utf-8")
    return data


def _signed_cases(session: Session, accessions: Collection[str]) -> Iterator[CaseReview]:
    query = select(Case).order_by(Case.accession)
    for case in session.scalars(query.where(Case.accession.in_(accessions)) if accessions else query).all():
        signed = find_sign_off(session, case)
        if signed is not None and signed[1] == "signed":
            yield read_case(session, case, session.get_one(Pipeline, signed[0].pipeline_id))


@dataclass(frozen=True, slots=True)
class _CellWriter:
    """Writes the image of a cell, its instances and its single chromosomes."""

    store: ObjectStore
    images: Path
    archive: zipfile.ZipFile
    data: TrainingData

    def write(self, review: CaseReview, cell: CaseCell, corrected: ReviewedCell) -> None:
        result = cell.result
        pixels = self._pixels(result)
        stem = f"{safe_stem(f'{review.case.accession}_{PurePath(result.image.file_name).stem}')}_{result.analysis.id}"
        (self.images / f"{stem}.png").write_bytes(encode_grey(pixels))
        provenance = _provenance(review, cell)
        outlined = [
            row
            for row in corrected.chromosomes
            if row["class_id"] is not None and row["ordinal"] not in corrected.boxes
        ]
        numbers = {row["ordinal"] for row in outlined}
        self.data.images.append(
            {
                "id": result.analysis.id,
                "file_name": f"{stem}.png",
                "width": result.image.width,
                "height": result.image.height,
                "iscn": corrected.iscn,
                "banding": result.image.banding,
                "unlabelled": [list(row["box"]) for row in corrected.chromosomes if row["ordinal"] not in numbers],
                **provenance,
            }
        )
        grey = eight_bit(pixels)
        for row in outlined:
            mask = _mask(row, result)
            number = len(self.data.annotations) + 1
            self.data.annotations.append(_annotation(number, row, mask, result, corrected))
            name = f"{class_name(row['class_id'])}/{stem}_{row['ordinal']}.png"
            self.archive.writestr(name, encode_grey(_crop(grey, mask, row, result)))
            self.data.crops.append(_index_row(name, row, result, provenance, corrected))

    def _pixels(self, result: StoredResult) -> Pixels:
        image = result.image
        data = self.store.get(image.object_key)
        limits = Limits(max_bytes=len(data), max_pixels=image.width * image.height, min_side=1)
        return decode(data, limits, image.channel, image.plane).pixels


def _provenance(review: CaseReview, cell: CaseCell) -> dict[str, Any]:
    signed = review.sign_off
    assert signed is not None, "only signed cases are written"
    return {
        "case": review.case.accession,
        "analysis": cell.result.analysis.id,
        "pipeline": review.pipeline.name,
        "pipeline_digest": review.pipeline.digest,
        "reviewers": sorted({item.reviewer for item in cell.reviews}),
        "readers": [name for name in (signed.first_reader, signed.reader) if name is not None],
        "signed_at": signed.created_at.isoformat(),
    }


def _annotation(
    number: int, row: ChromosomeRow, mask: Mask, result: StoredResult, corrected: ReviewedCell
) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": result.analysis.id,
        "category_id": row["class_id"],
        "bbox": list(row["box"]),
        "area": int(np.count_nonzero(mask)),
        "iscrowd": 0,
        "segmentation": {"size": [result.image.height, result.image.width], "counts": row["mask"]},
        "chromosome": row["ordinal"],
        "corrected": row["ordinal"] in corrected.corrected,
    }


def _index_row(
    name: str, row: ChromosomeRow, result: StoredResult, provenance: dict[str, Any], corrected: ReviewedCell
) -> dict[str, Any]:
    return {
        "file": name,
        "class": class_name(row["class_id"]),
        "cell": result.analysis.id,
        "case": provenance["case"],
        "banding": result.image.banding or "",
        "upright": _UPRIGHT[row["orientation"]],
        "analysis": result.analysis.id,
        "chromosome": row["ordinal"],
        "pipeline_digest": provenance["pipeline_digest"],
        "reviewers": "; ".join(provenance["reviewers"]),
        "readers": "; ".join(provenance["readers"]),
        "corrected": int(row["ordinal"] in corrected.corrected),
    }


def _mask(row: ChromosomeRow, result: StoredResult) -> Mask:
    return decode_mask({"size": [result.image.height, result.image.width], "counts": row["mask"]})


def _crop(grey: NDArray[np.uint8], mask: Mask, row: ChromosomeRow, result: StoredResult) -> NDArray[np.uint8]:
    """Return one chromosome (h, w) in a frame of background, without its neighbours."""
    light = result.qc is None or result.qc.contrast_polarity == "dark_on_light"
    x, y, width, height = row["box"]
    window = np.s_[y : y + height, x : x + width]
    background = np.uint8(255 if light else 0)
    return np.pad(np.where(mask[window], grey[window], background), _FRAME, constant_values=background)


def _csv(rows: Iterable[dict[str, Any]]) -> str:
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, INDEX_COLUMNS)
    writer.writeheader()
    writer.writerows({name: as_text(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()
