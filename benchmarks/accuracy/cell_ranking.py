"""Edits of the cells that a case takes first, of cells at random, and of the best ones.

    python -m benchmarks.accuracy.cell_ranking [--cells 20] [--pool 60] [--fit] [--analyse] [--data DIR]

An edit is a chromosome that is missed, falsely found, or of a wrong class. ``cell_ranking.csv`` has one analysed image
a row: what its result says of its own errors, and its edits against the truth. ``--analyse`` makes it again with the
default pipeline, from simulated metaphases, ``adir``, ``bioimlab`` (edits of outlines only, as it has no classes) and
``tseng``. ``--fit`` prints the weights of ``karyotyping.expected_edits``; the held-out cases of ``tseng`` are not part
of it.

Output: a Markdown table. Pools of ``--pool`` images are drawn at random; of each, ``--cells`` are chosen by expected
edits and by quality. The closed gap is (random - chosen) / (random - best possible).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as rle
from scipy.optimize import lsq_linear
from scipy.stats import spearmanr

from benchmarks.accuracy.case_rates import TSENG_MARGINS
from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.arrays import Floats, Pixels
from karyotyping.expected_edits import CLASS_WEIGHTS, OUTLINE_WEIGHTS, Evidence, expected_edits
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, CellAnalysis, encode_mask
from karyotyping.nomenclature.ideogram import RESOLUTIONS
from karyotyping.pipeline import Pipeline
from training.embedder.labelled_images import split_of, widen
from training.evaluation.instances.edit_count import match_one_to_one
from training.evaluation.instances.matching import CocoItem
from training.simulation.appearance import Contrast, Optics
from training.simulation.metaphase import simulate

FILE = Path(__file__).with_suffix(".csv")
IMAGES = {
    "sim": (42, 0),
    "adir": (36, 5),
    "bioimlab": (24, 6),
    "tseng, tuned": (40, 3),
    "tseng, held-out": (110, 4),
}
"""Number of images of each set, and the seed that draws them."""
FITTED = ("sim", "adir", "bioimlab", "tseng, tuned")
WITHOUT_CLASSES = "bioimlab"
POOLS = 500  # random pools of a set
MAX_EDITS = 15  # of an image in the fit; more say no more about it
RIDGE = 1.0  # penalty of squared standardised weights
MAX_WEIGHT = {"cell": 1.0, "doubtful_outlines": 3.0, "doubtful_classes": 3.0}
"""Largest weights; 1 for the other evidence, which counts chromosomes."""
CLASS_EVIDENCE = ("cell", "doubtful_classes", "reassigned")
OUTLINE_EVIDENCE = ("cell", *(field.name for field in fields(Evidence) if field.name != "reassigned"))


class Row(NamedTuple):
    """One analysed image."""

    set: str
    image: str
    quality: float
    evidence: Evidence
    missed: int
    false: int
    wrong: int

    @property
    def edits(self) -> int:
        """All edits."""
        return self.missed + self.false + self.wrong


def read_rows() -> list[Row]:
    """Return the stored analyses."""
    with FILE.open(encoding="utf-8", newline="") as stream:
        return [_row(line) for line in csv.DictReader(stream)]


def _row(line: dict[str, str]) -> Row:
    kinds = {field.name: float if field.type == "float" else int for field in fields(Evidence)}
    evidence = Evidence(**{name: kind(line[name]) for name, kind in kinds.items()})  # type: ignore[arg-type]
    edits = (int(line[name]) for name in ("missed", "false", "wrong"))
    return Row(line["set"], line["image"], float(line["quality"]), evidence, *edits)


def write_rows(rows: Sequence[Row]) -> None:
    """Store analyses."""
    lines = [
        {
            "set": row.set,
            "image": row.image,
            "quality": round(row.quality, 4),
            **{name: round(value, 4) for name, value in asdict(row.evidence).items()},
            **{name: getattr(row, name) for name in ("missed", "false", "wrong")},
        }
        for row in rows
    ]
    with FILE.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(lines)


def count_edits(
    cell: CellAnalysis | None, truth: Sequence[CocoItem], ignored: Sequence[Sequence[float]], kind: str
) -> tuple[int, int, int]:
    """Return missed, falsely found and wrongly named chromosomes.

    Args:
        cell: the analysis; None if nothing was found.
        truth: COCO annotations.
        ignored: boxes of chromosome-like objects that may be found or not.
        kind: name of the set.
    """
    found = cell.chromosomes if cell else ()
    if not found:
        return len(truth), 0, 0
    if kind.startswith("tseng"):
        widened = [widen(one.box, TSENG_MARGINS) for one in found]
        iou = rle.iou(np.array(widened), np.array([one["bbox"] for one in truth], float), [0] * len(truth))
    else:
        iou = rle.iou([one.mask for one in found], [one["segmentation"] for one in truth], [0] * len(truth))
    partner = match_one_to_one(np.asarray(iou, np.float64).T)
    wrong = sum(k >= 0 and found[k].class_id != one["category_id"] for k, one in zip(partner, truth, strict=True))
    surplus = [one.box for k, one in enumerate(found) if k not in set(partner.tolist())]
    false = sum(not any(_is_mostly_in(box, region) for region in ignored) for box in surplus)
    return int((partner < 0).sum()), false, 0 if kind == WITHOUT_CLASSES else int(wrong)


def _is_mostly_in(box: Sequence[float], region: Sequence[float]) -> bool:
    wide, high = (
        max(0.0, min(box[k] + box[k + 2], region[k] + region[k + 2]) - max(box[k], region[k])) for k in (0, 1)
    )
    return wide * high > box[2] * box[3] / 2


Job = tuple[str, str, Callable[[], tuple[Pixels, list[CocoItem], list[list[float]]]]]
"""Set, image, and a callback for pixels, truth and ignored boxes."""


def simulated(count: int) -> Iterator[Job]:
    """Yield simulated metaphases of both contrasts, with more and more contacts and blur."""
    karyotypes = ("46,XX", "46,XY", "46,XY", "47,XX,+21", "45,X", "46,XX")

    def draw(number: int) -> tuple[Pixels, list[CocoItem], list[list[float]]]:
        rng = np.random.default_rng((77, number))
        contrast: Contrast = "fluorescence" if number % 4 == 3 else "bright_field"
        optics, blur = Optics.for_contrast(contrast), float(rng.uniform(0, 1.6))
        image = simulate(
            karyotypes[number % 6],
            seed=(5, number),
            contrast=contrast,
            touching=int(rng.integers(0, 14)),
            overlapping=int(rng.integers(0, 10)),
            nuclei=int(rng.integers(0, 4)),
            debris=int(rng.integers(0, 14)),
            neighbours=int(rng.integers(0, 3)),
            resolution=RESOLUTIONS[number // 2 % len(RESOLUTIONS)],
            optics=replace(optics, blur=(optics.blur[0] + blur, optics.blur[1] + blur)),
        )
        items = zip(image.classes, image.boxes, image.masks, strict=True)
        truth = [{"category_id": k, "bbox": list(box), "segmentation": encode_mask(mask)} for k, box, mask in items]
        return image.pixels, truth, [list(box) for box in image.neighbours]

    for number in range(count):
        yield "sim", f"sim-{number}", lambda number=number: draw(number)  # type: ignore[misc]


def photographed(data: Path, name: str, count: int, seed: int) -> Iterator[Job]:
    """Yield images of a set, drawn at random."""
    folder = data / name.partition(",")[0]
    truth = json.loads((folder / "coco.json").read_text("utf-8"))
    images = [image for image in truth["images"] if _is_of(name, image)]
    random.Random(seed).shuffle(images)
    for image in images[:count]:

        def load(image: CocoItem = image) -> tuple[Pixels, list[CocoItem], list[list[float]]]:
            pixels = decode((folder / "images" / image["file_name"]).read_bytes()).pixels
            own = [one for one in truth["annotations"] if one["image_id"] == image["id"]]
            return pixels, own, image.get("unlabelled", [])

        yield name, image["file_name"], load


def _is_of(name: str, image: CocoItem) -> bool:
    _, _, split = name.partition(", ")
    return (split_of(str(image["case"])) == "held-out") == (split == "held-out") if split else not image.get("few")


def analyse(data: Path) -> Iterator[Row]:
    """Analyse the images of every set; one takes 1 to 4 CPU seconds."""
    pipeline = Pipeline.default("cpu").open()
    for name, (count, seed) in IMAGES.items():
        for kind, image, load in simulated(count) if name == "sim" else photographed(data, name, count, seed):
            pixels, truth, ignored = load()
            result = pipeline.analyse_batch([pixels])[0]
            log_progress(f"{kind} {image}")
            if not isinstance(result, AnalysisError):
                evidence = Evidence.of(result.chromosomes, result.quality.overlap_count)
                edits = count_edits(result, truth, ignored, kind)
                yield Row(kind, image, result.quality.score, evidence, *edits)


def fit(rows: Sequence[Row], names: Sequence[str], edits: Callable[[Row], int]) -> dict[str, float]:
    """Return the weights, 0 and more, of the named evidence."""
    evidence = np.array([[_value(row, name) for name in names] for row in rows])
    counted = np.array([min(edits(row), MAX_EDITS) for row in rows], float)
    scale = np.where(evidence.std(axis=0) > 0, evidence.std(axis=0), 1.0)
    penalty = np.sqrt(RIDGE) * np.diag([float(name != "cell") for name in names])
    largest = np.array([MAX_WEIGHT.get(name, 1.0) for name in names]) * scale
    found = lsq_linear(
        np.vstack([evidence / scale, penalty]), np.concatenate([counted, np.zeros(len(names))]), (0.0, largest)
    )
    return {name: round(float(value), 2) for name, value in zip(names, found.x / scale, strict=True)}


def _value(row: Row, name: str) -> float:
    return 1.0 if name == "cell" else float(getattr(row.evidence, name))


def compare(rows: Sequence[Row], cells: int, pool: int) -> tuple[Floats, float, float]:
    """Compare choices of cells with chance and with the best possible one.

    Returns:
        Mean edits (4,) at random, of the best, by expected edits and by quality; rank correlation; mean error.
    """
    rng = np.random.default_rng(0)
    edits = np.array([row.edits for row in rows], float)
    expected = np.array([sum(expected_edits(row.evidence)) for row in rows])
    quality = np.array([row.quality for row in rows])
    means = []
    for _ in range(POOLS):
        members = rng.choice(len(rows), min(pool, len(rows)), replace=False)
        own = edits[members]
        orders = (np.argsort(own), np.argsort(expected[members]), np.argsort(-quality[members]))
        means.append([own.mean(), *(own[order[:cells]].mean() for order in orders)])
    mean: Floats = np.mean(means, axis=0)
    return mean, float(spearmanr(expected, edits)[0]), float(np.abs(expected - edits).mean())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=20, help="cells that are chosen of a pool")
    parser.add_argument("--pool", type=int, default=60, help="images that they are chosen of")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--analyse", action="store_true")
    parser.add_argument("--data", type=Path, default=data_folder())
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    if arguments.analyse:
        write_rows(list(analyse(arguments.data)))
    rows = read_rows()
    if arguments.fit:
        fitted = [row for row in rows if row.set in FITTED]
        named = [row for row in fitted if row.set != WITHOUT_CLASSES]
        print("OUTLINE_WEIGHTS", fit(fitted, OUTLINE_EVIDENCE, lambda row: row.missed + row.false))
        print("CLASS_WEIGHTS", fit(named, CLASS_EVIDENCE, lambda row: row.wrong))
    if not OUTLINE_WEIGHTS or not CLASS_WEIGHTS:
        return
    print_header(
        "set",
        "images",
        "random",
        "best possible",
        "chosen",
        "gap closed",
        "by quality",
        "rank correlation",
        "mean error",
    )
    for name in dict.fromkeys(row.set for row in rows):
        own = [row for row in rows if row.set == name]
        cells = min(arguments.cells, len(own) // 3)
        (at_random, best, chosen, by_quality), correlation, error = compare(own, cells, arguments.pool)
        gaps = [f"{(at_random - one) / (at_random - best):.0%}" for one in (chosen, by_quality)]
        print_row(
            name,
            len(own),
            *(f"{one:.2f}" for one in (at_random, best, chosen)),
            *gaps,
            f"{correlation:.2f}",
            f"{error:.2f}",
        )


if __name__ == "__main__":
    main()
