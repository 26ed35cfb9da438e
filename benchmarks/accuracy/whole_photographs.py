"""Classes on whole photographs, from pixels to the cell, by networks that were trained on nothing of their slides.

    python -m benchmarks.accuracy.whole_photographs FOLD ... [--photographs DIR]

Each FOLD is a folder that ``karyo train embedder --fold K`` made: its network names the chromosomes of the photographs
whose slide it held out; the segmentation is the one that karyoflow comes with. ``DIR`` (default: ``adir`` in
$KARYO_TEST_DATA) holds ``coco.json``, whose images have a ``slide``, and ``images``. Prints a Markdown table: of the
chromosomes of the truth, how many are found (matched at mask IoU .5), and how many of those get the right class.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from karyotyping.arrays import Pixels
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.nomenclature.classes import Y
from karyotyping.pipeline import Pipeline
from models.engine import load_engine
from training.evaluation.instances.edit_count import match_one_to_one

SMALL = {*range(16, 23), Y}


def held_out_by(fold: Path) -> set[str]:
    """The slides of a fold: the last parts of its cases' names."""
    with np.load(fold / "held-out.npz") as stored:
        return {case.rsplit("/", 1)[-1] for case in stored["case"].tolist()}


def kinds(truth: dict[str, Any]) -> Iterator[str]:
    """The rows of the table that a chromosome of the truth counts in."""
    yield "all"
    if truth["category_id"] in SMALL:
        yield "16 to 22 and Y"
    if truth["overlap"]:
        yield "overlapping others"


def compare(cell: CellAnalysis, truths: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Each chromosome of the truth that is found, and whether it has the right class."""
    found = [chromosome.mask for chromosome in cell.chromosomes]
    iou = np.asarray(rle.iou(found, [one["segmentation"] for one in truths], [0] * len(truths)), np.float64).T
    for one, partner in zip(truths, match_one_to_one(iou).tolist(), strict=True):
        if partner >= 0:
            yield one, cell.chromosomes[partner].class_id == one["category_id"]


def photographs(folder: Path, slides: set[str]) -> Iterator[tuple[Pixels, list[dict[str, Any]]]]:
    """The photographs of ``slides`` with their truth."""
    truth = json.loads((folder / "coco.json").read_text("utf-8"))
    for image in truth["images"]:
        if image["slide"] in slides:
            pixels = decode((folder / "images" / image["file_name"]).read_bytes()).pixels
            yield pixels, [one for one in truth["annotations"] if one["image_id"] == image["id"]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path, nargs="+", metavar="FOLD")
    usual = Path(os.environ.get("KARYO_TEST_DATA", "../shared/data")) / "adir"
    parser.add_argument("--photographs", type=Path, default=usual, metavar="DIR")
    arguments = parser.parse_args()
    there, found, right = Counter[str](), Counter[str](), Counter[str]()
    for fold in arguments.folds:
        pipeline = Pipeline.default("cpu")
        pipeline._embedder = load_engine(fold / "embedder.onnx", "cpu")
        for pixels, truths in photographs(arguments.photographs, held_out_by(fold)):
            there.update(kind for one in truths for kind in kinds(one))
            try:
                cell = pipeline.analyse(pixels)
            except AnalysisError:
                continue
            for one, same in compare(cell, truths):
                found.update(kinds(one))
                right.update(kinds(one) if same else ())
    print("| chromosomes | there | found | right of those found |\n| --- | --- | --- | --- |")
    for kind, count in there.items():
        print(f"| {kind} | {count} | {found[kind]} | {right[kind] / max(found[kind], 1):.1%} |")


if __name__ == "__main__":
    main()
