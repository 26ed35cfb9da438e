"""Rates of lost, misread and extra chromosomes of the default pipeline, by Denver group.

    python -m benchmarks.accuracy.case_rates --out FILE.jsonl [--choose rates|normal|abnormal|slides] [--fold FOLD]
        [--seconds S] [--data DIR]

The pipeline analyses G-band images of ``tseng`` and appends its results to ``FILE``; images that it holds are passed
over, so that an interrupted run continues. Results are matched with the boxes of the truth; those of ``tseng`` are
wider.

Cases that the classifier learned from are left out. ``rates`` takes the first image of every third case, ``normal`` all
images of the first 30 normal cases of three to six cells, which have no part in the rates, and ``abnormal`` all images
of cases with a note. ``slides`` takes the DAPI images of ``adir``, whose cases are slides. The classifier learned from
single chromosomes of them; ``--fold`` takes the network of ``karyo train embedder --fold`` and the slides that it held
out. ``benchmarks.accuracy.cases`` judges the results of the last three.

Output: a Markdown table, and errors per cell by quality and by unexplained objects; of cells of a quality of at least
0.5.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as rle
from scipy.optimize import linear_sum_assignment

from benchmarks.accuracy.metaphase_images import held_out_by
from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.case.rates import GROUP_BY_CLASS
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, CellAnalysis
from karyotyping.pipeline import Pipeline
from karyotyping.rows import chromosome_rows
from models.engine import load_engine
from training.embedder.labelled_images import Margins, split_of, widen

GROUPS = ("A", "B", "C and X", "D", "E", "F", "G and Y")
NORMAL_CASES = 30
COLUMNS = ("box", "score", "class_id", "class_score", "top5_classes", "top5_scores", "flags")
TSENG_MARGINS: Margins = (5.9, 7.2, 4.4, 2.9)  # px around the stain, left, top, right, bottom, in its boxes
NO_MARGINS: Margins = (0, 0, 0, 0)
MIN_OVERLAP = 0.5  # intersection over union of a match
MIN_QUALITY = 0.5  # 0..1; worse cells are few, and have mostly chromosomes without a class
QUALITIES = (MIN_QUALITY, 0.65, 0.8, 1.0)

Item = dict[str, Any]


def choose_images(images: Sequence[Item], which: str) -> list[Item]:
    """Return the images of a choice, see the module."""
    by_case: dict[str, list[Item]] = defaultdict(list)
    for image in images:
        if split_of(image["case"]) != "learned":
            by_case[image["case"]].append(image)
    plain = [case for case, own in by_case.items() if 3 <= len(own) <= 6 and all(is_normal(image) for image in own)]
    first = set(plain[:NORMAL_CASES])
    if which == "normal":
        return [image for case, own in by_case.items() if case in first for image in own]
    if which == "abnormal":
        return [image for own in by_case.values() if not all(map(is_normal, own)) for image in own]
    return [own[0] for case, own in by_case.items() if case not in first][::3]


def is_normal(image: Item) -> bool:
    """Return whether the note of an image names no abnormality."""
    return bool(image["note"][0] == "normal")


def open_pipeline(fold: Path | None = None) -> Pipeline:
    """Return the default pipeline, with the classifier of ``fold`` if given."""
    pipeline = Pipeline.default("cpu")
    if fold:
        pipeline._embedder = load_engine(fold / "embedder.onnx", "cpu")
    return pipeline.open()


def analyse(pipeline: Pipeline, folder: Path, images: Sequence[Item], out: Path, seconds: float) -> None:
    """Append the results of the images that ``out`` lacks, for at most ``seconds``."""
    known = {result["id"] for result in read_results(out)} if out.exists() else set()
    began = time.monotonic()
    with out.open("a", encoding="utf-8") as stream:
        for image in images:
            if image["id"] in known:
                continue
            if time.monotonic() - began > seconds:
                break
            cell = pipeline.analyse_batch([decode((folder / image["file_name"]).read_bytes()).pixels])[0]
            log_progress(image["file_name"])
            result: Item = {"id": image["id"], "case": image["case"]}
            if not isinstance(cell, AnalysisError):
                result |= result_of(cell)
            stream.write(json.dumps(result) + "\n")


def result_of(cell: CellAnalysis) -> Item:
    """Return what the engine of cases and the rates need of a result, as JSON."""
    rows = [{name: row[name] for name in COLUMNS} for row in chromosome_rows(cell)]  # type: ignore[literal-required]
    quality = cell.quality
    facts = {name: getattr(quality, name) for name in ("outline_edits", "class_edits", "unexplained_objects")}
    return {"iscn": cell.iscn, "score": quality.score, "chromosomes": rows, **facts}


def read_results(file: Path) -> list[Item]:
    """Return the results in a file of :func:`analyse`."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def count_errors(
    truth: Sequence[Item], chromosomes: Sequence[Item], margins: Margins
) -> Iterator[tuple[str, int | None]]:
    """Yield the kind of error and the class of every true chromosome and every extra one.

    Args:
        truth: chromosomes with box and class.
        chromosomes: those of the result.
        margins: by which the boxes of the truth are wider.
    """
    boxes = np.array([item["bbox"] for item in truth], float)
    found = np.array([widen(item["box"], margins) for item in chromosomes], float)
    shared = rle.iou(boxes, found, [0] * len(found))
    rows, columns = linear_sum_assignment(-shared)
    match = {int(t): int(f) for t, f in zip(rows, columns, strict=True) if shared[t, f] > MIN_OVERLAP}
    for t, item in enumerate(truth):
        own = item["category_id"]
        if t not in match:
            yield "lost", own
            continue
        named = chromosomes[match[t]]["class_id"]
        if named is None:
            yield "unknown", own
        elif named == own:
            yield "right", own
        else:
            yield ("within" if GROUP_BY_CLASS[named - 1] == GROUP_BY_CLASS[own - 1] else "outside"), own
    for f in set(range(len(chromosomes))) - set(match.values()):
        yield "extra", chromosomes[f]["class_id"]


def print_rates(truth: dict[int, list[Item]], results: Sequence[Item], margins: Margins) -> None:
    """Print the rates by group, and errors per cell by quality."""
    called = [result for result in results if result.get("iscn") and result["score"] >= MIN_QUALITY]
    cells = [Counter(count_errors(truth[result["id"]], result["chromosomes"], margins)) for result in called]
    total = sum(cells, Counter[tuple[str, int | None]]())
    print(f"{len(called)} called cells of {len(results)}")
    print_header(
        "group", "chromosomes", "lost", "misread, same group", "misread, other group", "extra per class and cell"
    )
    for group, name in enumerate(GROUPS):
        classes = [int(k) + 1 for k in np.flatnonzero(group == GROUP_BY_CLASS)]
        tally = {
            kind: sum(total[kind, k] for k in classes)
            for kind in ("right", "lost", "within", "outside", "unknown", "extra")
        }
        number = sum(tally.values()) - tally["extra"]
        shares = [f"{tally[kind] / max(1, number):.3f}" for kind in ("lost", "within", "outside")]
        print_row(name, number, *shares, f"{tally['extra'] / len(classes) / max(1, len(called)):.3f}")
    named = sum(count for (kind, _), count in total.items() if kind in ("within", "outside"))
    within = sum(count for (kind, _), count in total.items() if kind == "within")
    unknown = sum(count for (kind, _), count in total.items() if kind == "unknown")
    true = sum(count for (kind, _), count in total.items() if kind != "extra")
    print(f"\nmisread within their group: {within / max(1, named):.3f}; without a class: {unknown / max(1, true):.4f}")
    print(f"mean quality: {np.mean([result['score'] for result in called]):.3f}")
    print(f"extra without a class: {total['extra', None] / max(1, len(called)):.3f} per cell\n")
    print_header("quality", "cells", "lost", "misread", "extra")
    for low, high in pairwise(QUALITIES):
        own = [cell for cell, result in zip(cells, called, strict=True) if low <= result["score"] < high]
        kinds = [Counter(kind for kind, _ in cell.elements()) for cell in own]
        means = [
            sum(one[kind] for one in kinds for kind in names) / max(1, len(own))
            for names in (("lost",), ("within", "outside"), ("extra",))
        ]
        print_row(f"{low} to {high}", len(own), *(f"{mean:.2f}" for mean in means))
    print()
    print_header("unexplained objects", "cells", "lost", "expected edits of outlines")
    by_objects: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for cell, result in zip(cells, called, strict=True):
        if (objects := result.get("unexplained_objects")) is not None:
            lost_ones = sum(count for (kind, _), count in cell.items() if kind == "lost")
            by_objects[objects].append((lost_ones, result["outline_edits"]))
    for objects, own_cells in sorted(by_objects.items()):
        print_row(objects, len(own_cells), *(f"{mean:.2f}" for mean in np.mean(own_cells, axis=0)))


def read_truth(folder: Path) -> tuple[list[Item], dict[int, list[Item]]]:
    """Return the images of ``tseng`` or ``adir`` with their case, and chromosomes by image.

    Second images of one metaphase are left out.
    """
    document = json.loads((folder / "coco.json").read_text("utf-8"))
    by_image: dict[int, list[Item]] = defaultdict(list)
    for item in document["annotations"]:
        by_image[item["image_id"]].append(item)
    images = [{"case": image.get("slide")} | image for image in document["images"] if not image.get("duplicate_of")]
    return images, by_image


def main() -> None:
    """Analyse the images and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="results, a JSON line for each image")
    parser.add_argument("--choose", choices=["rates", "normal", "abnormal", "slides"], default="rates")
    parser.add_argument("--fold", type=Path, help="folder of a network that held slides out, for --choose slides")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="time after which no image is begun")
    parser.add_argument("--data", type=Path, default=data_folder())
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    folder = arguments.data / ("adir" if arguments.choose == "slides" else "tseng")
    images, truth = read_truth(folder)
    if arguments.choose != "slides":
        images = choose_images(images, arguments.choose)
    elif arguments.fold:
        images = [image for image in images if image["case"] in held_out_by(arguments.fold)]
    analyse(open_pipeline(arguments.fold), folder / "images", images, arguments.out, arguments.seconds)
    print_rates(truth, read_results(arguments.out), NO_MARGINS if arguments.choose == "slides" else TSENG_MARGINS)


if __name__ == "__main__":
    main()
