"""Chromosomes found and named by the default pipeline, against boxes with classes.

    python -m benchmarks.accuracy.boxes SET [--split all|learned|fitted|held-out] [--every N]
        [--margin PX | --margin LEFT TOP RIGHT BOTTOM] [--classes DIR] [--data DIR]

``SET`` is a folder of ``DIR`` (default: $KARYO_TEST_DATA) with ``images`` and ``coco.json``. The classifier learned
from the cases of ``tseng`` that are ``learned``; parameters were chosen on those that are ``fitted``. ``--margin``
widens every result, by one number on all sides or by four. Boxes of ``tseng`` are 5.9, 7.2, 4.4 and 2.9 px outside the
stain: they are shifted. Masks are not compared. ``--classes`` leaves ``truth.csv`` and ``predictions.csv`` of the
chromosomes found, for ``karyo evaluate classes``.

Output: a Markdown table. Class is the share of matched chromosomes with the right class; cells named is the share of
images whose every matched chromosome has it. The 24-class figures are means over the classes.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Literal

import cv2
import numpy as np
from pycocotools import mask as rle

from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, Chromosome
from karyotyping.nomenclature.classes import class_name
from karyotyping.pipeline import Pipeline
from training.embedder.labelled_images import Margins, split_of, widen
from training.evaluation.instances.edit_count import match_one_to_one
from training.evaluation.instances.matching import CocoItem
from training.evaluation.instances.report import evaluate
from training.evaluation.instances.schema import InstanceFigures

COLUMNS = (
    *("set", "images", "bbox AP@.5 / mAP / mAR", "AER", "Acc", "WCR"),
    *("class", "cells named", "24-class AP@.5 / mAP", "CPU s/image"),
)
UNKNOWN_CLASS = 25  # category of results without a class


def select_images(images: Sequence[CocoItem], split: str, every: int) -> list[CocoItem]:
    """Return every n-th image of a split; images without a case belong to no split but ``all``."""
    return [image for image in images if split == "all" or split_of(str(image["case"])) == split][::every]


def analyse(pipeline: Pipeline, folder: Path, images: Sequence[CocoItem]) -> tuple[list[tuple[Chromosome, ...]], float]:
    """Return the chromosomes of each image, and CPU seconds for an image."""
    cells: list[tuple[Chromosome, ...]] = []
    seconds = 0.0
    for number, image in enumerate(images, start=1):
        pixels = decode((folder / image["file_name"]).read_bytes()).pixels
        began = time.process_time()
        cell = pipeline.analyse_batch([pixels])[0]
        seconds += time.process_time() - began
        log_progress(f"{number}/{len(images)} {image['file_name']}")
        cells.append(() if isinstance(cell, AnalysisError) else cell.chromosomes)
    return cells, seconds / max(1, len(images))


def coco_result(image: CocoItem, found: Chromosome, margins: Margins) -> CocoItem:
    """Return a chromosome as a COCO result.

    Args:
        image: of the truth.
        found: chromosome of the image.
        margins: pixels that widen its box.
    """
    category = found.class_id or UNKNOWN_CLASS
    box = list(widen(found.box, margins))
    return {"image_id": image["id"], "category_id": category, "bbox": box, "score": found.score}


def write_classes(
    folder: Path,
    images: Sequence[CocoItem],
    boxes: Sequence[CocoItem],
    cells: Sequence[Sequence[Chromosome]],
    margins: Margins,
) -> None:
    """Write classes of the chromosomes found, for ``karyo evaluate classes``."""
    folder.mkdir(parents=True, exist_ok=True)
    truth, predicted = [], []
    for image, cell in zip(images, cells, strict=True):
        own = [item for item in boxes if item["image_id"] == image["id"]]
        true = np.array([item["bbox"] for item in own], float).reshape(-1, 4)
        found = np.array([coco_result(image, one, margins)["bbox"] for one in cell], float).reshape(-1, 4)
        iou = np.zeros((len(true), len(found)))
        if iou.size:
            iou = np.asarray(rle.iou(found, true, [0] * len(true))).T
        for item, k in zip(own, match_one_to_one(iou), strict=True):
            if k >= 0 and cell[k].top5:
                name = f"{image['file_name']}/{item['id']}"
                truth.append((name, item["category_id"], image["file_name"], image.get("case", image["file_name"])))
                top5 = [class_name(class_id) for class_id, _ in cell[k].top5]
                assigned = cell[k].label, f"{cell[k].class_score:.6f}"
                predicted.append((name, top5[0], f"{cell[k].top5[0][1]:.6f}", " ".join(top5), *assigned))
    for file, header, rows in (
        ("truth.csv", ("file", "class", "cell", "case"), truth),
        ("predictions.csv", ("file", "class", "score", "top5", "assigned_class", "assigned_score"), predicted),
    ):
        with (folder / file).open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows([header, *rows])


def main() -> None:
    """Analyse the images and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set")
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--split", choices=["all", "learned", "fitted", "held-out"], default="all")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument(
        "--margin", type=float, nargs="+", default=[0.0], help="pixels added to the results: on every side, or on each"
    )
    parser.add_argument("--classes", type=Path, help="folder for classes of the chromosomes found, as CSV")
    arguments = parser.parse_args()
    if len(arguments.margin) not in (1, 4):
        parser.error("--margin takes one number, or four: left, top, right, bottom")
    left, top, right, bottom = arguments.margin * (4 // len(arguments.margin))
    margins = (left, top, right, bottom)
    cv2.setNumThreads(1)
    folder = arguments.data / arguments.set
    truth = json.loads((folder / "coco.json").read_text())
    images = select_images(truth["images"], arguments.split, arguments.every)
    chosen = {image["id"] for image in images}
    boxes = [
        {name: value for name, value in item.items() if name != "segmentation"}
        for item in truth["annotations"]
        if item["image_id"] in chosen
    ]
    cells, seconds = analyse(Pipeline.default().open(), folder / "images", images)
    results = [coco_result(image, found, margins) for image, cell in zip(images, cells, strict=True) for found in cell]
    if arguments.classes:
        write_classes(arguments.classes, images, boxes, cells, margins)
    with tempfile.TemporaryDirectory() as scratch:
        truth_file, result_file = Path(scratch) / "truth.json", Path(scratch) / "results.json"
        truth_file.write_text(json.dumps(truth | {"images": images, "annotations": boxes}))
        result_file.write_text(json.dumps(results))
        report = evaluate(truth_file, result_file, resamples=0)
    figures = report["counted"]["bbox"]
    named = [row["bbox_right_class"] == row["bbox_TP"] for row in report["images"]]
    shares = [figures[name] for name in ("AER", "Acc", "WCR", "class_accuracy")] + [sum(named) / len(named)]
    print_header(*COLUMNS)
    print_row(
        f"{arguments.set}, {arguments.split}",
        str(len(images)),
        _precisions([figures], "AP50", "mAP", "mAR"),
        *(f"{share:.1%}" for share in shares),
        _precisions(list(figures.get("per_class", {}).values()), "AP50", "mAP"),
        f"{seconds:.2f}",
    )


def _precisions(classes: Sequence[InstanceFigures], *names: Literal["AP50", "mAP", "mAR"]) -> str:
    """Return the means of figures over classes; ``-`` without classes."""
    return " / ".join(f"{mean(each[name] for each in classes):.3f}" for name in names) if classes else "-"


if __name__ == "__main__":
    main()
