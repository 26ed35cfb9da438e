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

from karyotyping.arrays import Floats
from karyotyping.classification.recognise import measure_regions
from karyotyping.image.decode import decode
from karyotyping.image.normalise import normalise
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
from training.embedder.proposals import ask_about

_SAME_IOU = 0.6  # of boxes, 0..1, from which a proposal may be the chromosome of a box
_OTHER_IOU = 0.45  # of boxes, 0..1; below it with every box, a proposal is no whole chromosome


Split = Literal["learned", "fitted", "held-out"]


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
    """
    coco = json.loads((folder / "coco.json").read_text("utf-8"))
    own: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for item in coco["annotations"]:
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
    labels: Sequence[BoxLabels], name: str, margin: float, *, cache: Path, workers: int = 2, log: Log = print
) -> Chromosomes:
    """Return the proposals of the segmenter in images; of ``NO_CLASS`` where they fill no box.

    Proposals that fill a box in part, and those of a box that another one fills better, are left out.

    Args:
        labels: of the images.
        name: of the set, which is the domain.
        margin: pixels between the stain of a chromosome and its box.
        cache: folder that keeps the chromosomes.
        workers: processes to segment with.
        log: receives lines of progress.
    """
    stored = cache_path(cache, f"{name}-images")
    if not stored.is_file():
        items: list[tuple[ReportRow, CanvasAndSize]] = []
        # Spawned: a process with threads of ONNX Runtime must not be forked.
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
            for number, found in enumerate(pool.map(_read_image, labels, [margin] * len(labels)), start=1):
                items += found
                if number % 20 == 0:
                    log(f"{number} of {len(labels)} images: {len(items)} proposals")
        save_chromosomes(stored, items, name)
    return load_chromosomes(stored)


def _read_image(labels: BoxLabels, margin: float) -> list[tuple[ReportRow, CanvasAndSize]]:
    """Return the proposals of one image, at the scale at which most of its boxes are filled."""
    cv2.setNumThreads(1)
    answered = [
        (question, name_regions(question.regions, labels, margin))
        for question in ask_about(normalise(decode(labels.file.read_bytes()).pixels))
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


def name_regions(regions: Sequence[Contour], labels: BoxLabels, margin: float) -> list[int | None]:
    """Return the class index of each region.

    ``NO_CLASS`` is that of a region that fills no box; None where that is uncertain.

    Args:
        regions: regions of the image.
        labels: boxes and classes.
        margin: pixels between the stain of a chromosome and its box.
    """
    if not len(labels.boxes) or not regions:
        return [NO_CLASS] * len(regions)
    iou = box_iou(np.array([region_box(region, margin) for region in regions]), labels.boxes)
    result: list[int | None] = [NO_CLASS if best < _OTHER_IOU else None for best in iou.max(axis=1)]
    for box, class_index in enumerate(labels.class_index):
        k = int(iou[:, box].argmax())
        if iou[k, box] >= _SAME_IOU and int(iou[k].argmax()) == box:
            result[k] = class_index
    return result


def region_box(region: Contour, margin: float) -> tuple[float, float, float, float]:
    """Return x, y, width and height of a region's box, widened by a margin in pixels."""
    x, y, width, height = cv2.boundingRect(region.mask.astype(np.uint8))
    left, top = region.origin
    return left + x - margin, top + y - margin, width + 2 * margin, height + 2 * margin


def box_iou(ours: Floats, theirs: Floats) -> Floats:
    """Return the (N, M) intersections over unions of boxes x, y, width, height."""
    first = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    last = np.minimum(ours[:, None, :2] + ours[:, None, 2:], theirs[None, :, :2] + theirs[None, :, 2:])
    shared = np.clip(last - first, 0, None).prod(axis=2)
    area, other = ours[:, 2:].prod(axis=1), theirs[:, 2:].prod(axis=1)
    iou: Floats = shared / np.maximum(area[:, None] + other[None] - shared, 1e-9)
    return iou
