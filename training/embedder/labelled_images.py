"""Proposals of the segmenter in metaphase images, named by the boxes that they fill.

Karyotype reports show whole, separate chromosomes. In images they bend, touch and cross, and most outlines that
the segmenter proposes are halves, pairs or debris. A proposal that fills a labelled box has its class; one that fills
no box is no whole chromosome.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pycocotools import mask as rle

from karyotyping.arrays import Floats
from karyotyping.classification.recognise import measure_regions
from karyotyping.image.decode import ImageRejected, decode
from karyotyping.image.normalise import normalise
from karyotyping.nomenclature.classes import CLASS_COUNT
from karyotyping.segmentation.contours import Contour
from training.common.progress import Log
from training.embedder.data import (
    NO_CLASS,
    CanvasAndSize,
    Chromosomes,
    ReportRow,
    cache_path,
    draw_canvas,
    load_chromosomes,
    save_chromosomes,
)
from training.embedder.proposals import ask_about, identify_source

_MATCH_IOU = 0.6  # of boxes, 0..1, from which a proposal may be the chromosome of a box
_NO_MATCH_IOU = 0.45  # of boxes, 0..1; below it with every box, a proposal is no whole chromosome

Split = Literal["learned", "fitted", "held-out"]
Margins = tuple[float, float, float, float]
"""Pixels between the stain of a chromosome and its box: left, top, right, bottom."""


@dataclass(frozen=True, slots=True)
class BoxLabels:
    """The labels of one image."""

    file: Path
    case: str
    boxes: Floats
    """(N, 4) x, y, width, height."""
    class_index: tuple[int, ...]
    """(N,) 0..23."""


def read_labels(folder: Path, wanted: Callable[[str], bool]) -> list[BoxLabels]:
    """Return the labels of the images of some cases.

    Args:
        folder: ``images`` and ``coco.json``, whose images name their case.
        wanted: whether to return the images of a case.

    Raises:
        ValueError: an image has no case, or an annotation no box or class.
    """
    file = folder / "coco.json"
    own: dict[int, list[dict[str, Any]]] = defaultdict(list)
    try:
        coco = json.loads(file.read_text("utf-8"))
        for item in coco["annotations"]:
            if item["category_id"] not in range(1, CLASS_COUNT + 1):
                raise ValueError(f"{file}: category_id {item['category_id']} is no class; write 1 to 24, X as 23")
            own[item["image_id"]].append(item)
        return [
            BoxLabels(
                folder / "images" / image["file_name"],
                str(image["case"]),
                np.array([item["bbox"] for item in own[image["id"]]], float).reshape(-1, 4),
                tuple(item["category_id"] - 1 for item in own[image["id"]]),
            )
            for image in coco["images"]
            if wanted(str(image["case"]))
        ]
    except KeyError as problem:
        raise ValueError(
            f"{file} lacks {problem}: images need file_name and case, annotations image_id, bbox and category_id"
        ) from problem


def split_of(case: str) -> Split:
    """Return what the images of a case are used for: by the SHA-256 of its name.

    Half of the cases are held out. The networks learn from four fifths of the others; the parameters that weigh their
    evidence are fitted to the rest.

    >>> [split_of(case) for case in ("1", "3", "18")]
    ['held-out', 'learned', 'fitted']
    """
    number = int(hashlib.sha256(case.encode()).hexdigest(), 16)
    return "held-out" if number % 2 else "learned" if number % 10 else "fitted"


def read_labelled_images(
    labels: Sequence[BoxLabels], name: str, margins: Margins, *, cache: Path, workers: int = 2, log: Log = print
) -> Chromosomes:
    """Return the proposals of the segmenter in images; of ``NO_CLASS`` where they fill no box.

    Proposals that fill a box in part, and those of a box that another one fills better, are left out. Files that are no
    image are skipped and logged.

    Args:
        labels: of the images.
        name: of the set, which is the domain.
        margins: between the stain of a chromosome and its box.
        cache: folder that keeps the chromosomes.
        workers: processes to segment with.
        log: receives lines of progress.

    Raises:
        ValueError: no image has a proposal.
    """
    source = identify_source(files=[one.file.name for one in labels], margins=margins)
    stored = cache_path(cache, f"{name}-{source}")
    if not stored.is_file():
        items: list[tuple[ReportRow, CanvasAndSize]] = []
        # Spawned: a process with threads of ONNX Runtime must not be forked.
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for number, found in enumerate(pool.map(_read_image, labels, [margins] * len(labels)), start=1):
                if isinstance(found, str):
                    log(found)
                    continue
                items += found
                if number % 20 == 0:
                    log(f"{number} of {len(labels)} images: {len(items)} proposals")
        if not items:
            raise ValueError(f"none of the {len(labels)} images of {name} shows chromosomes: leave {name} out")
        save_chromosomes(stored, items, name)
    return load_chromosomes(stored)


def _read_image(labels: BoxLabels, margins: Margins) -> list[tuple[ReportRow, CanvasAndSize]] | str:
    """Return the proposals of one image, at the scale at which most of its boxes are filled.

    A file that cannot be read gives a sentence.
    """
    cv2.setNumThreads(1)
    try:
        pixels = decode(labels.file.read_bytes()).pixels
    except ImageRejected as problem:
        return f"{labels.file.name}: {problem.sentence}"
    except OSError as problem:
        return f"{labels.file}: {problem.strerror}"
    answered = [
        (question, name_regions(question.regions, labels, margins)) for question in ask_about(normalise(pixels))
    ]
    if not answered:
        return []
    question, names = max(answered, key=lambda pair: sum(name is not None and name != NO_CLASS for name in pair[1]))
    measured, scale = measure_regions(question.image, question.regions, question.members)
    cell = labels.file.stem
    return [
        (ReportRow(f"{cell}/{k}", name, False, cell, labels.case), draw_canvas(measured[k], scale))
        for k, name in enumerate(names)
        if name is not None
    ]


def name_regions(regions: Sequence[Contour], labels: BoxLabels, margins: Margins) -> list[int | None]:
    """Return the class index of each region.

    ``NO_CLASS`` is that of a region that fills no box; None where that is uncertain.

    Args:
        regions: regions of the image.
        labels: boxes and classes.
        margins: between the stain of a chromosome and its box.
    """
    if not len(labels.boxes) or not regions:
        return [NO_CLASS] * len(regions)
    found = np.array([widen(_region_box(region), margins) for region in regions], float)
    iou = rle.iou(found, labels.boxes, [0] * len(labels.boxes))
    result: list[int | None] = [NO_CLASS if best < _NO_MATCH_IOU else None for best in iou.max(axis=1)]
    for box, class_index in enumerate(labels.class_index):
        k = int(iou[:, box].argmax())
        if iou[k, box] >= _MATCH_IOU and int(iou[k].argmax()) == box:
            result[k] = class_index
    return result


def widen(box: Sequence[float], margins: Margins) -> tuple[float, float, float, float]:
    """Return a box, as x, y, width and height, widened by margins.

    >>> widen((10, 20, 5, 8), (1, 2, 3, 4))
    (9, 18, 9, 14)
    """
    x, y, width, height = box
    left, top, right, bottom = margins
    return x - left, y - top, width + left + right, height + top + bottom


def _region_box(region: Contour) -> tuple[float, float, float, float]:
    x, y, width, height = cv2.boundingRect(region.mask.astype(np.uint8))
    left, top = region.origin
    return left + x, top + y, width, height
