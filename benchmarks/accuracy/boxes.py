"""Chromosomes found and named by the default pipeline, against boxes with classes.

    python -m benchmarks.accuracy.boxes SET [--split all|learned|fitted|held-out] [--every N]
        [--margin PX | --margin LEFT TOP RIGHT BOTTOM] [--data DIR]

``SET`` is a folder of ``DIR`` (default: $KARYO_TEST_DATA) with ``images`` and ``coco.json``. The classifier learned
from the cases of ``tseng`` that are ``learned``; parameters were chosen on those that are ``fitted``. ``--margin``
widens every result, by one number on all sides or by four. Boxes of ``tseng`` are about 6, 7, 4.5 and 3 px outside the
stain: they are shifted. Masks are not compared.

Output: a Markdown table. Class is the share of matched chromosomes with the right class; cells named is the share of
images whose every matched chromosome has it. The 24-class figures are means over the classes.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Literal

import cv2

from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError
from karyotyping.pipeline import Pipeline
from training.embedder.labelled_images import split_of
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


def detect(
    pipeline: Pipeline, folder: Path, images: Sequence[CocoItem], margins: Sequence[float]
) -> tuple[list[CocoItem], float]:
    """Return COCO results of images, and CPU seconds for an image.

    Args:
        pipeline: finds and names the chromosomes.
        folder: of the images.
        images: of the truth.
        margins: (4,) pixels that widen each box: left, top, right, bottom.
    """
    left, top, right, bottom = margins
    results: list[CocoItem] = []
    seconds = 0.0
    for number, image in enumerate(images, start=1):
        pixels = decode((folder / image["file_name"]).read_bytes()).pixels
        began = time.process_time()
        cell = pipeline.analyse_batch([pixels])[0]
        seconds += time.process_time() - began
        log_progress(f"{number}/{len(images)} {image['file_name']}")
        for found in () if isinstance(cell, AnalysisError) else cell.chromosomes:
            x, y, w, h = found.box
            box = [x - left, y - top, w + left + right, h + top + bottom]
            category = found.class_id or UNKNOWN_CLASS
            results.append({"image_id": image["id"], "category_id": category, "bbox": box, "score": found.score})
    return results, seconds / max(1, len(images))


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
    arguments = parser.parse_args()
    if len(arguments.margin) not in (1, 4):
        parser.error("--margin takes one number, or four: left, top, right, bottom")
    margins = arguments.margin * (4 // len(arguments.margin))
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
    results, seconds = detect(Pipeline.default().open(), folder / "images", images, margins)
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
