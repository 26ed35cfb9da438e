"""Segmentation of real DAPI metaphases by the pipeline and by baselines.

    python -m benchmarks.accuracy.segmentation_baselines [--data DIR] [--split all|tuned|held-out]
        [--no-networks] [--turned]

Measures detection, enumeration, edits and CPU time, whatever the classes. AER, Acc and WCR also leave out the results
on chromosomes that the truth names without a label. ``--turned`` measures the default method alone, on every image in
its eight orientations, and adds mean and standard deviation. ``DIR`` (default: $KARYO_TEST_DATA) has the ADIR set as in
docs/datasets.md. Parameters were chosen on the slides of ``tuned``; ``held-out`` are the others.

Output: a Markdown table with a row for each method.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from benchmarks.figures import data_folder, print_header, print_row
from karyotyping.arrays import Floats, Mask
from karyotyping.classification.embedder import EMBEDDER
from karyotyping.classification.recognise import recognise
from karyotyping.image.normalise import normalise
from karyotyping.image.orientation import ORIENTATIONS, orient_planes, restore_orientation
from karyotyping.model import AnalysisError, decode_mask, encode_mask
from karyotyping.pipeline import Pipeline
from karyotyping.segmentation.agreement import AgreementParameters
from karyotyping.segmentation.contours import find_contours
from karyotyping.segmentation.instance_decoding import SEGMENTER, Candidate
from karyotyping.segmentation.proposals import propose, region_in_image, tile_image
from karyotyping.segmentation.result import StreamParameters
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks, segment
from models.engine import Engine, load_engine
from models.registry import resolve
from training.evaluation.instances.matching import CocoItem
from training.evaluation.instances.report import evaluate
from training.evaluation.instances.schema import InstanceReport

TUNED = frozenset({"A06", "A22", "P10", "V15", "V18", "V25", "V27"})
"""Slides on which parameters were chosen: 7 of 14. The others have no duplicates of their cells."""
MIN_AREA = 40  # px, of a chromosome
MIN_NUCLEUS_AREA = 1500  # px
MIN_NUCLEUS_SOLIDITY = 0.9  # 0..1

COLUMNS = (
    *("method", "bbox AP@.5 / mAP / mAR", "segm AP@.5 / mAP / mAR", "AER", "Acc", "WCR", "unlabelled excused"),
    *("right outlines, of results / of chromosomes", "edits per cell", "CPU s/image"),
)

Labels = NDArray[np.int_]
"""(H, W) number of the component of each pixel, 0 for none."""
Scored = list[tuple[Mask, float]]
"""Masks and their scores."""
Method = Callable[[NDArray[np.uint8]], Scored]


def otsu(pixels: NDArray[np.uint8]) -> Labels:
    """Return the components above Otsu's threshold, without nuclei and specks."""
    labels: Labels = label(cv2.GaussianBlur(pixels, (0, 0), 0.8) > threshold_otsu(pixels))
    for region in regionprops(labels):
        if region.area < MIN_AREA or (region.area > MIN_NUCLEUS_AREA and region.solidity > MIN_NUCLEUS_SOLIDITY):
            labels[labels == region.label] = 0
    return labels


def distance_watershed(pixels: NDArray[np.uint8], radius: int = 9) -> Labels:
    """Flood the distance transform from every peak that is the highest within ``radius`` px."""
    mask = otsu(pixels) > 0
    depth = ndimage.distance_transform_edt(mask)
    peaks = (depth == ndimage.maximum_filter(depth, 2 * radius + 1)) & mask
    flooded: Labels = watershed(-depth, label(peaks), mask=mask)
    return flooded


def maxima_watershed(pixels: NDArray[np.uint8], height: float = 3.0) -> Labels:
    """Flood the distance transform from its h-maxima.

    Source: Vincent & Soille 1991, "Watersheds in digital spaces", DOI 10.1109/34.87344.
    """
    mask = otsu(pixels) > 0
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 0.5)
    flooded: Labels = watershed(-depth, label(h_maxima(depth, height)), mask=mask)
    return flooded


def baseline(label_pixels: Callable[[NDArray[np.uint8]], Labels]) -> Method:
    """Return a method that scores each component by its area relative to the median.

    Without scores, average precision would rank the components by chance.
    """

    def run(pixels: NDArray[np.uint8]) -> Scored:
        labels = label_pixels(pixels)
        masks = [labels == region.label for region in regionprops(labels)]
        areas = np.array([mask.sum() for mask in masks], float)
        scores = np.exp(-np.abs(np.log(areas / np.median(areas)))) if masks else areas
        return list(zip(masks, scores.tolist(), strict=True))

    return run


def pipeline_segmentation(networks: Networks) -> Method:
    """Return the segmentation of the pipeline."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        segmentation = segment(normalise(pixels), networks, StreamParameters())
        return [(i.full_mask((pixels.shape[0], pixels.shape[1])), i.score) for i in segmentation.instances]

    return run


def whole_pipeline(pipeline: Pipeline) -> Method:
    """Return the chromosomes of the pipeline, with what it decides when it knows their classes."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        cell = pipeline.analyse_batch([pixels])[0]
        chromosomes = () if isinstance(cell, AnalysisError) else cell.chromosomes
        return [(decode_mask(item.mask), item.score) for item in chromosomes]

    return run


def plain_suppression(segmenter: Engine, max_iou: float = 0.5, min_score: float = 0.3) -> Method:
    """Return the segmenter with suppression by mask IoU instead of the selection by stain."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        image, parameters = normalise(pixels), StreamParameters()
        tiles = tile_image(image, find_contours(image, parameters.looked_at).regions)
        (proposed,) = propose([tiles], segmenter, parameters.decoding, AgreementParameters(turns=(0,)))
        kept: list[Candidate] = []
        for item in sorted(proposed.candidates, key=lambda one: -one.score):
            if item.score >= min_score and all(_iou(item, other) < max_iou for other in kept):
                kept.append(item)
        level, shape = parameters.decoding.level, (pixels.shape[0], pixels.shape[1])
        return [(region_in_image(item, tiles.zoom, level).full_mask(shape), item.score) for item in kept]

    return run


def _iou(one: Candidate, other: Candidate) -> float:
    shared = one.region.overlap_area(other.region)
    return shared / (one.region.area + other.region.area - shared)


def run_method(method: Method, folder: Path, images: list[CocoItem], turn: int = 0) -> tuple[list[CocoItem], float]:
    """Return a method's COCO results in an orientation, and its CPU seconds per image."""
    items: list[CocoItem] = []
    seconds = 0.0
    for image in images:
        pixels = cv2.imread(str(folder / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise SystemExit(f"{folder / image['file_name']} cannot be read")
        began = time.process_time()
        scored = method(orient_planes(np.asarray(pixels, np.uint8), turn))
        seconds += time.process_time() - began
        upright = [(restore_orientation(mask, turn), score) for mask, score in scored]
        items += [
            {
                "image_id": image["id"],
                "category_id": 1,
                "bbox": [int(n) for n in cv2.boundingRect(mask.astype(np.uint8))],
                "segmentation": encode_mask(mask),
                "score": score,
            }
            for mask, score in upright
        ]
    return items, seconds / len(images)


def main() -> None:
    """Evaluate every method and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=data_folder())
    parser.add_argument("--split", choices=["all", "tuned", "held-out"], default="all")
    parser.add_argument("--no-networks", action="store_true", help="segment by geometry alone")
    parser.add_argument("--turned", action="store_true", help="only the default method, in eight orientations")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    truth = json.loads((arguments.data / "adir" / "coco.json").read_text())
    wanted = {"all": (True, False), "tuned": (True,), "held-out": (False,)}[arguments.split]
    images = [image for image in truth["images"] if (image["slide"] in TUNED) in wanted]
    chosen = {image["id"] for image in images}
    agnostic = [a | {"category_id": 1} for a in truth["annotations"] if a["image_id"] in chosen]
    methods: dict[str, Method] = {
        "Otsu, components": baseline(otsu),
        "+ watershed, peaks 9 px apart": baseline(distance_watershed),
        "+ watershed, h-maxima 3": baseline(maxima_watershed),
        "karyoflow, geometry alone": pipeline_segmentation(Networks()),
    }
    if not arguments.no_networks:
        router, segmenter = (load_engine(resolve(name).path, "cpu") for name in (ROUTER, SEGMENTER))
        methods["karyoflow, geometry and router"] = pipeline_segmentation(Networks(router))
        methods["karyoflow, segmenter and plain suppression"] = plain_suppression(segmenter)
        methods["karyoflow, segmenter and selection"] = pipeline_segmentation(Networks(None, segmenter))
        methods["karyoflow, router, segmenter and selection"] = pipeline_segmentation(Networks(router, segmenter))
        evidence = partial(recognise, embedder=load_engine(resolve(EMBEDDER).path, "cpu"))
        methods["karyoflow: the same with the classifier"] = pipeline_segmentation(
            Networks(router, segmenter, evidence)
        )
        methods["karyoflow: the default pipeline"] = whole_pipeline(Pipeline.default("cpu").open())
    runs = [(name, method, 0) for name, method in methods.items()]
    if arguments.turned:
        name, method = list(methods.items())[-1]
        runs = [(f"{name}, orientation {turn}", method, turn) for turn in range(ORIENTATIONS)]
    print(f"{len(images)} images, {len(agnostic)} chromosomes ({arguments.split})")
    print_header(*COLUMNS)
    with tempfile.TemporaryDirectory() as scratch:
        truth_file, result_file = Path(scratch) / "truth.json", Path(scratch) / "results.json"
        categories = [{"id": 1, "name": "chromosome"}]
        truth_file.write_text(json.dumps({"images": images, "annotations": agnostic, "categories": categories}))
        rows = []
        for name, method, turn in runs:
            items, seconds = run_method(method, arguments.data / "adir" / "images", images, turn)
            result_file.write_text(json.dumps(items))
            report = evaluate(truth_file, result_file, resamples=0)
            rows.append(np.append(table_figures(report), seconds))
            print_row(name, *row_cells(rows[-1]))
    if arguments.turned:
        print_row("mean", *row_cells(np.mean(rows, axis=0)))
        print_row("standard deviation", *row_cells(np.std(rows, axis=0)))


def table_figures(report: InstanceReport) -> Floats:
    """Return (15,) the figures of a row, without the seconds."""
    box, mask, excused = report["counted"]["bbox"], report["counted"]["segm"], report["excused"]["bbox"]
    figures = [value for kind in (box, mask) for value in (kind["AP50"], kind["mAP"], kind["mAR"])]
    figures += [value for kind in (box, excused) for value in (kind["AER"], kind["Acc"], kind["WCR"])]
    return np.array([*figures, mask["clinical_precision"], mask["clinical_recall"], mask["edits"]], float)


def row_cells(row: Floats) -> list[str]:
    """Return the cells of a row, from its ``table_figures`` and the seconds, (16,)."""
    kinds = [" / ".join(f"{value:.3f}" for value in row[k : k + 3]) for k in (0, 3)]
    shares = [f"{value:.1%}" for value in row[6:9]]
    excused, right = (" / ".join(f"{value:.1%}" for value in row[k]) for k in (np.s_[9:12], np.s_[12:14]))
    return [*kinds, *shares, excused, right, f"{row[14]:.1f}", f"{row[15]:.2f}"]


if __name__ == "__main__":
    main()
