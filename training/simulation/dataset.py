"""Simulated cases on disk: images, the manifest for ingest, and the truth."""

from __future__ import annotations

import csv
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from karyotyping.model import encode_mask
from karyotyping.nomenclature.classes import CLASS_NAMES
from training.simulation.appearance import Contrast, Optics
from training.simulation.case_plan import CasePlan, Preparation, burst, plan_case
from training.simulation.metaphase import SimulatedMetaphase, simulate

ImageFormat = Literal["png", "tiff"]
TRUTH = ("case", "karyotype", "cells", "contrast")
"""Columns of the truth: a row for each case."""
IMAGE_TRUTH = (*TRUTH, "path", "image_karyotype", "quality")
"""Columns of the truth where the cells of a case differ: a row for each image."""
MANIFEST = ("path", "case", "slide", "tissue", "banding", "microscope", "captured_at", "priority")
"""Columns of the manifest."""


@dataclass(frozen=True, slots=True)
class WrittenDataset:
    """Files that ``write_dataset`` wrote."""

    folder: Path
    manifest: Path
    truth: Path
    coco: Path
    images: tuple[str, ...] = ()
    """Paths of the images relative to ``folder``."""


def simulate_case(
    accession: str,
    karyotype: str,
    cells: int,
    *,
    seed: int,
    contrast: Contrast = "bright_field",
    touching: tuple[int, int] = (0, 0),
    overlapping: tuple[int, int] = (0, 0),
    mix: Mapping[str, float] | None = None,
    **options: Any,
) -> Iterator[SimulatedMetaphase]:
    """Yield the simulated cells of one case; they do not depend on other cases.

    Args:
        accession: accession number of the case.
        karyotype: numerical karyotype, of one cell line or several; see ``plan_case``.
        cells: number of cells.
        seed: seed of all cases.
        contrast: contrast of the images.
        touching: least and largest number of touching chromosomes in a cell, without ``mix``.
        overlapping: least and largest number of overlapping chromosomes in a cell, without ``mix``.
        mix: shares of qualities by name.
        **options: further arguments of ``simulate``.

    Raises:
        ValueError: the karyotype is not valid, or more than fits.
    """
    preparation = Preparation(touching=touching, overlapping=overlapping)
    plan = plan_case(accession, karyotype, cells, seed=seed, preparation=preparation, mix=mix)
    yield from _simulate_plan(accession, plan, seed=seed, contrast=contrast, options=options)


def _simulate_plan(
    accession: str, plan: CasePlan, *, seed: int, contrast: Contrast, options: Mapping[str, Any]
) -> Iterator[SimulatedMetaphase]:
    for number, cell in enumerate(plan.cells):
        entropy = (seed, zlib.crc32(accession.encode()), number)
        rng = np.random.default_rng(entropy)
        kind = cell.preparation
        ranges = {name: getattr(kind, name) for name in ("touching", "overlapping", "nuclei", "debris")}
        drawn = {name: int(rng.integers(low, high + 1)) for name, (low, high) in ranges.items()}
        lost = int(rng.integers(kind.lost[0], kind.lost[1] + 1))
        copies = burst(cell.copies, lost, rng)
        optics = Optics.for_contrast(contrast)
        optics = replace(optics, blur=(optics.blur[0] * kind.blur, optics.blur[1] * kind.blur))
        yield simulate(copies, seed=entropy, contrast=contrast, **{**drawn, "optics": optics, **options})


def write_dataset(
    folder: Path,
    cases: Mapping[str, str],
    cells_per_case: int,
    *,
    seed: int,
    contrast: Contrast = "bright_field",
    image_format: ImageFormat = "png",
    mix: Mapping[str, float] | None = None,
    progress: Callable[[int, int, str], None] | None = None,
    touching: tuple[int, int] = (0, 0),
    overlapping: tuple[int, int] = (0, 0),
    **options: Any,
) -> WrittenDataset:
    """Write simulated cases.

    Files are ``<case>/<case>_<cell>.png``, ``manifest.csv``, ``truth.csv`` and ``coco.json``. The truth has a row for
    each image if a case has several cell lines or a mix is stated, else for each case.

    Args:
        folder: folder to write into.
        cases: karyotype by accession number, see ``plan_case``; an accession is the name of a folder.
        cells_per_case: number of images of each case.
        seed: seed of all cases.
        contrast: contrast of the images.
        image_format: format of the images.
        mix: shares of qualities by name.
        progress: called after each image with the number of images written, the number of all, and the path.
        touching: see ``simulate_case``.
        overlapping: see ``simulate_case``.
        **options: further arguments of ``simulate``.

    Raises:
        ValueError: an accession is no file name, or a karyotype or the mix is not valid; nothing is written then.
        OSError: an image cannot be written.
    """
    preparation = Preparation(touching=touching, overlapping=overlapping)
    plans: dict[str, CasePlan] = {}
    for accession, karyotype in cases.items():
        if not accession or accession in {".", ".."} or Path(accession).name != accession:
            raise ValueError(f"accession {accession!r} cannot name a folder: use letters, digits, - and _")
        plans[accession] = plan_case(accession, karyotype, cells_per_case, seed=seed, preparation=preparation, mix=mix)
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, object]] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    total = len(cases) * cells_per_case
    truth: list[dict[str, object]] = []
    for accession, plan in plans.items():
        (folder / accession).mkdir(exist_ok=True)
        cells = _simulate_plan(accession, plan, seed=seed, contrast=contrast, options=options)
        of_case = (accession, plan.karyotype, cells_per_case, contrast)
        for number, (metaphase, planned) in enumerate(zip(cells, plan.cells, strict=True), start=1):
            path = f"{accession}/{accession}_{number:03d}.{image_format}"
            if not cv2.imwrite(str(folder / path), metaphase.pixels):
                raise OSError(f"cannot write {folder / path}: is the disk full or the folder read-only?")
            rows.append(
                dict(
                    zip(
                        MANIFEST,
                        (path, accession, f"{accession}-1", "simulated", metaphase.banding, "simulator", "", "routine"),
                        strict=True,
                    )
                )
            )
            images.append(coco_image(metaphase, len(images) + 1, path))
            annotations.extend(coco_annotations(metaphase, len(images), len(annotations) + 1))
            truth.append(dict(zip(IMAGE_TRUTH, (*of_case, path, metaphase.iscn, planned.quality or ""), strict=True)))
            if progress is not None:
                progress(len(images), total, path)
    written = WrittenDataset(
        folder,
        folder / "manifest.csv",
        folder / "truth.csv",
        folder / "coco.json",
        tuple(str(row["path"]) for row in rows),
    )
    _write_csv(written.manifest, MANIFEST, rows)
    if all(plan.is_uniform for plan in plans.values()):
        by_case = {row["case"]: {name: row[name] for name in TRUTH} for row in truth}
        _write_csv(written.truth, TRUTH, by_case.values())
    else:
        _write_csv(written.truth, IMAGE_TRUTH, truth)
    written.coco.write_text(json.dumps(coco_document(images, annotations)), encoding="utf-8")
    return written


def coco_document(images: Sequence[dict[str, Any]], annotations: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return a COCO ground truth over the 24 classes."""
    categories = [
        {"id": class_id, "name": name, "supercategory": "chromosome"}
        for class_id, name in enumerate(CLASS_NAMES, start=1)
    ]
    info = {"description": "Metaphases simulated by karyoflow", "version": "1"}
    return {"info": info, "images": list(images), "annotations": list(annotations), "categories": categories}


def coco_image(metaphase: SimulatedMetaphase, image_id: int, file_name: str) -> dict[str, Any]:
    """Return the COCO entry of an image, with karyotype and boxes of unlabelled chromosomes."""
    height, width = metaphase.pixels.shape
    counts = {name: metaphase.classes.count(class_id) for class_id, name in enumerate(CLASS_NAMES, start=1)}
    return {
        "id": image_id,
        "file_name": file_name,
        "width": width,
        "height": height,
        "iscn": metaphase.iscn,
        "counts": counts,
        "verdict": "clean",
        "unlabelled": [list(box) for box in metaphase.neighbours],
    }


def coco_annotations(metaphase: SimulatedMetaphase, image_id: int, first_id: int) -> Iterator[dict[str, Any]]:
    """Yield the COCO entries of chromosomes; ``overlap_px`` counts pixels of overlaps."""
    depth = metaphase.masks.sum(axis=0, dtype=np.uint8)
    for number, (mask, box, class_id) in enumerate(
        zip(metaphase.masks, metaphase.boxes, metaphase.classes, strict=True)
    ):
        shared = int((depth[mask] > 1).sum())
        yield {
            "id": first_id + number,
            "image_id": image_id,
            "category_id": class_id,
            "segmentation": encode_mask(mask),
            "bbox": list(box),
            "area": int(mask.sum()),
            "iscrowd": 0,
            "overlap": shared > 0,
            "overlap_px": shared,
        }


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
