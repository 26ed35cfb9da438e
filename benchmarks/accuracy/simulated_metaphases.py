"""Segmentation of simulated metaphase images, by the number of crossing chromosomes.

    python -m benchmarks.accuracy.simulated_metaphases [--cells 5] [--seed 1] [--segmenter network|geometric]
        [--reports ZIP ...] [--keep DIR]

Measures the pipeline against exact masks. An image shows a whole cell of 46 that neither router nor segmenter was
trained on. Its chromosomes are bent and rotated; some touch, and some cross. Nuclei, debris and the microscope of the
stain are simulated. ``--cells`` are drawn for each of 0, 1-3, 4-8 and 9-16 crossings, some of which hide nearly all of
a small chromosome. Layout and optics differ from the segmenter's training, which composes tiles. ``--keep`` leaves
images, truth and results, for the figures of ``karyo evaluate coco``.

Output: a Markdown table for each report (default: the G-band and the Q-band one of $KARYO_TEST_DATA).
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import data_folder, print_header, print_row
from karyotyping.arrays import Bools, Floats
from karyotyping.model import AnalysisError, encode_mask
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.pipeline import Pipeline, Segmenter
from training.evaluation.instances.by_domain import domain_table
from training.evaluation.instances.matching import CocoItem
from training.evaluation.instances.report import evaluate
from training.evaluation.instances.schema import InstanceReport
from training.segmenter.sources import ChromosomeSource
from training.simulation.appearance import Contrast, Optics, draw_values
from training.simulation.background import add_debris, add_nuclei
from training.simulation.chromosome import Patch
from training.simulation.deform import deform_chromosome
from training.simulation.metaphase import combine
from training.simulation.microscope import capture
from training.simulation.spread import Canvas, arrange

CROSSINGS = {"0": (0, 0), "1-3": (1, 3), "4-8": (4, 8), "> 8": (9, 16)}
"""Least and most crossings of an image, by the name of the row."""
TOUCHING = (2, 12)  # chromosomes that touch another
WIDTH = (9.0, 15.0)  # px, of a chromosome
SIDES = (52, 66)  # height and width of the image, in widths of its chromosomes
LIGHT: dict[Contrast, tuple[float, float]] = {"bright_field": (0.5, 1.3), "fluorescence": (0.3, 0.7)}
"""Stain of most of a chromosome: absorbance, or brightness."""


@dataclass(frozen=True, slots=True)
class Metaphase:
    """An image (H, W) and the masks (N, H, W) of its chromosomes."""

    pixels: NDArray[np.uint8]
    masks: Bools


def compose(reports: ChromosomeSource, cell: int, overlapping: int, rng: np.random.Generator) -> Metaphase:
    """Compose an image of a cell of the first report with ``overlapping`` crossings."""
    contrast = reports.domains[0][cell].contrast
    width = float(rng.uniform(*WIDTH))
    scale = width / reports.width(0, cell)
    halo = width * float(rng.uniform(0.04, 0.13) if contrast == "bright_field" else rng.uniform(0.08, 0.24))
    bends, light = rng.uniform(0.0, 0.5), float(rng.uniform(*LIGHT[contrast]))
    items = [item for number in range(NORMAL_COUNT) if (item := reports.chromosome(0, cell, number)) is not None]

    def patch(index: int) -> Patch:
        item = items[index]
        turn = float(np.clip((item.length / item.width - 1.5) / 5, 0, 1) * bends * rng.normal(0, 1.5))

        def course(u: Floats) -> Floats:
            return turn * (u - 0.5)

        deformed = deform_chromosome(
            item, scale=scale, angle=float(rng.uniform(0, 2 * np.pi)), course=course, halo=halo
        )
        return Patch(0, light * deformed.stain, deformed.mask, deformed.axis, len(deformed.axis) // 2)

    shape = round(SIDES[0] * width), round(SIDES[1] * width)
    canvas = Canvas(shape)
    placed = arrange(
        patch, len(items), canvas, rng, touching=int(rng.integers(*TOUCHING, endpoint=True)), overlapping=overlapping
    )
    stain, masks = combine(placed, shape)
    taken = canvas.near.copy()
    add_nuclei(stain, taken, int(rng.integers(3)), chromosome_length=8 * width, contrast=contrast, rng=rng)
    add_debris(stain, taken, int(rng.integers(10)), width, rng)
    return Metaphase(capture(stain, draw_values(Optics.for_contrast(contrast), rng), contrast, rng), masks)


def metaphases(report: Path, cells: int, seed: int) -> Iterator[tuple[str, Metaphase]]:
    """Yield the row's name and an image, ``cells`` for each row, of whole cells held out."""
    reports = ChromosomeSource([report], held_out=True, drawn=0)
    whole = [number for number, cell in enumerate(reports.domains[0]) if len(cell) == NORMAL_COUNT]
    for stratum, (name, (least, most)) in enumerate(CROSSINGS.items()):
        for number in range(cells):
            rng = np.random.default_rng((seed, zlib.crc32(report.stem.encode()), stratum, number))
            chosen = whole[(stratum * cells + number) % len(whole)]
            yield name, compose(reports, chosen, int(rng.integers(least, most, endpoint=True)), rng)


def coco_annotations(masks: Bools) -> Iterator[CocoItem]:
    """Yield the COCO annotations of (N, H, W) masks, without ids."""
    crossed = masks.sum(axis=0) > 1
    for mask in masks:
        box = cv2.boundingRect(mask.astype(np.uint8))
        shared = bool((mask & crossed).any())
        yield {"category_id": 1, "bbox": list(box), "segmentation": encode_mask(mask), "overlap": shared}


def coco_results(pipeline: Pipeline, pixels: NDArray[np.uint8]) -> list[CocoItem]:
    """Return the COCO results of the pipeline, without the id of an image."""
    try:
        cell = pipeline.analyse(pixels)
    except AnalysisError:
        return []
    return [
        {"category_id": 1, "bbox": list(item.box), "segmentation": item.mask, "score": item.score}
        for item in cell.chromosomes
    ]


def measure(report: Path, arguments: argparse.Namespace, pipeline: Pipeline, folder: Path) -> InstanceReport:
    """Write images, truth and results into ``folder``, and evaluate them."""
    folder.mkdir(parents=True, exist_ok=True)
    images: list[CocoItem] = []
    truth: list[CocoItem] = []
    results: list[CocoItem] = []
    for number, (overlaps, metaphase) in enumerate(metaphases(report, arguments.cells, arguments.seed)):
        name, (height, width) = f"{number:03d}.png", metaphase.pixels.shape
        cv2.imwrite(str(folder / name), metaphase.pixels)
        images.append({"id": number, "file_name": name, "width": width, "height": height, "overlaps": overlaps})
        truth += [
            {**item, "id": len(truth) + k, "image_id": number}
            for k, item in enumerate(coco_annotations(metaphase.masks))
        ]
        results += [{**item, "image_id": number} for item in coco_results(pipeline, metaphase.pixels)]
    (folder / "truth.json").write_text(json.dumps({"images": images, "annotations": truth, "categories": []}), "utf-8")
    (folder / "results.json").write_text(json.dumps(results), "utf-8")
    return evaluate(folder / "truth.json", folder / "results.json", resamples=200, by="overlaps")


def main() -> None:
    """Simulate, segment, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [data_folder() / name for name in ("pki3_gband.zip", "padova_qband.zip")]
    parser.add_argument("--reports", type=Path, nargs="+", default=default, metavar="ZIP")
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--segmenter", choices=list(Segmenter), type=Segmenter)
    parser.add_argument("--keep", type=Path, metavar="DIR")
    arguments = parser.parse_args()
    pipeline = Pipeline.default("cpu", **({"segmenter": arguments.segmenter} if arguments.segmenter else {}))
    with tempfile.TemporaryDirectory() as scratch:
        for report in arguments.reports:
            folder = (arguments.keep or Path(scratch)) / report.stem
            headings, rows = domain_table(measure(report, arguments, pipeline, folder), "overlaps")
            print(f"{report.stem}, pipeline {pipeline.document['name']}")
            print_header(*headings)
            for row in rows:
                print_row(*(cell.replace("\n", " (") + ")" * ("\n" in cell) for cell in row))
            print()


if __name__ == "__main__":
    main()
