"""Class accuracy on metaphase images, by networks that were not trained on their slides.

    python -m benchmarks.accuracy.metaphase_images FOLD ... [--images DIR]

Measures the pipeline from pixels to the classes of the cell. Each FOLD is a folder of ``karyo train embedder
--fold K``. Its network predicts the images of the slides that it held out; segmentation uses the shipped networks.
``DIR`` (default: ``adir`` in $KARYO_TEST_DATA) has ``coco.json``, whose images have a ``slide``, and ``images``.

Output: a Markdown table. It has the chromosomes of the truth, those found (matched at mask IoU .5), and the share of
the found ones with the right class.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pycocotools import mask as rle

from benchmarks.figures import data_folder, markdown
from karyotyping.arrays import Pixels
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.nomenclature.classes import Y
from karyotyping.pipeline import Pipeline
from models.engine import load_engine
from training.evaluation.instances.edit_count import match_one_to_one
from training.evaluation.instances.matching import CocoItem

SMALL_CLASSES = {*range(16, 23), Y}


def held_out_by(fold: Path) -> set[str]:
    """Return the slides of a fold: the last parts of its cases' names."""
    with np.load(fold / "held-out.npz") as stored:
        return {case.rsplit("/", 1)[-1] for case in stored["case"].tolist()}


def row_names(truth: CocoItem) -> Iterator[str]:
    """Yield the rows of the table that a chromosome of the truth counts in."""
    yield "all"
    if truth["category_id"] in SMALL_CLASSES:
        yield "16 to 22 and Y"
    if truth["overlap"]:
        yield "overlapping others"


def compare(cell: CellAnalysis, truths: list[CocoItem]) -> Iterator[tuple[CocoItem, bool]]:
    """Yield each chromosome of the truth that is found, and whether it has the right class."""
    found = [chromosome.mask for chromosome in cell.chromosomes]
    iou = np.asarray(rle.iou(found, [one["segmentation"] for one in truths], [0] * len(truths)), np.float64).T
    for one, partner in zip(truths, match_one_to_one(iou).tolist(), strict=True):
        if partner >= 0:
            yield one, cell.chromosomes[partner].class_id == one["category_id"]


def images_of(folder: Path, slides: set[str]) -> Iterator[tuple[Pixels, list[CocoItem]]]:
    """Yield the images of ``slides`` with their truth."""
    truth = json.loads((folder / "coco.json").read_text("utf-8"))
    for image in truth["images"]:
        if image["slide"] in slides:
            pixels = decode((folder / "images" / image["file_name"]).read_bytes()).pixels
            yield pixels, [one for one in truth["annotations"] if one["image_id"] == image["id"]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD")
    parser.add_argument("--images", type=Path, default=data_folder() / "adir", metavar="DIR")
    arguments = parser.parse_args()
    total, found, right = Counter[str](), Counter[str](), Counter[str]()
    for fold in arguments.folds:
        pipeline = Pipeline.default("cpu")
        pipeline._embedder = load_engine(fold / "embedder.onnx", "cpu")
        for pixels, truths in images_of(arguments.images, held_out_by(fold)):
            total.update(kind for one in truths for kind in row_names(one))
            try:
                cell = pipeline.analyse(pixels)
            except AnalysisError:
                continue
            for one, same in compare(cell, truths):
                found.update(row_names(one))
                right.update(row_names(one) if same else ())
    rows = [(row, n, found[row], f"{right[row] / max(found[row], 1):.1%}") for row, n in total.items()]
    print(markdown(("chromosomes", "total", "found", "right of those found"), rows))


if __name__ == "__main__":
    main()
