"""Segmentation beside what anyone would try first, on real DAPI metaphases.

    python -m benchmarks.accuracy.segmentation_baselines [--data DIR] [--split all|tuned|held-out]
        [--no-networks] [--turned]

Prints a Markdown table. Class-agnostic, every result counted; AER, Acc and WCR also with results excused that lie on
what the truth names as chromosomes without a label. ``--turned`` shows the default each photograph in its eight
orientations, which should make no difference: mean and standard deviation waver less than one figure. ``DIR`` (default:
$KARYO_TEST_DATA) holds the ADIR set as docs/datasets.md lays it out. Parameters were chosen on the slides ``tuned``;
``held-out`` are the others.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from karyotyping.image.normalise import normalise
from karyotyping.model import encode_mask
from karyotyping.segmentation.contours import find_contours
from karyotyping.segmentation.instance_decoding import SEGMENTER, Candidate
from karyotyping.segmentation.proposals import propose, region_in_image, tile_image
from karyotyping.segmentation.result import StreamParameters
from karyotyping.segmentation.router import ROUTER
from karyotyping.segmentation.stream import Networks, segment
from models.engine import Engine, load_engine
from models.registry import resolve
from training.evaluation.instances.report import evaluate
from training.segmenter.sample import ORIENTATIONS, orient_planes, restore_orientation

TUNED = frozenset({"A06", "A22", "P10", "V15", "V18", "V25", "V27"})
"""Slides on which parameters were chosen: 7 of 14, kept apart from duplicates of their cells on the others."""

Labels = NDArray[np.int_]
Scored = list[tuple[NDArray[np.bool_], float]]
Method = Callable[[NDArray[np.uint8]], Scored]


def otsu(pixels: NDArray[np.uint8]) -> Labels:
    """Otsu's threshold, connected components, big round ones (nuclei) and specks removed."""
    labels: Labels = label(cv2.GaussianBlur(pixels, (0, 0), 0.8) > threshold_otsu(pixels))
    for region in regionprops(labels):
        if region.area < 40 or (region.area > 1500 and region.solidity > 0.9):
            labels[labels == region.label] = 0
    return labels


def distance_watershed(pixels: NDArray[np.uint8], apart: int = 9) -> Labels:
    """Watershed on the distance transform from every peak that is the highest ``apart`` pixels around."""
    mask = otsu(pixels) > 0
    depth = ndimage.distance_transform_edt(mask)
    peaks = (depth == ndimage.maximum_filter(depth, 2 * apart + 1)) & mask
    flooded: Labels = watershed(-depth, label(peaks), mask=mask)
    return flooded


def maxima_watershed(pixels: NDArray[np.uint8], height: float = 3.0) -> Labels:
    """Watershed on the distance transform from its h-maxima (Vincent & Soille 1991 for the flooding)."""
    mask = otsu(pixels) > 0
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 0.5)
    flooded: Labels = watershed(-depth, label(h_maxima(depth, height)), mask=mask)
    return flooded


def baseline(labelled: Callable[[NDArray[np.uint8]], Labels]) -> Method:
    """Score by how typical the area is: without any, average precision would rank them by chance."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        labels = labelled(pixels)
        masks = [labels == region.label for region in regionprops(labels)]
        areas = np.array([mask.sum() for mask in masks], float)
        scores = np.exp(-np.abs(np.log(areas / np.median(areas)))) if masks else areas
        return list(zip(masks, scores.tolist(), strict=True))

    return run


def ours(networks: Networks) -> Method:
    """The stream that the pipeline runs."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        found = segment(normalise(pixels), networks, StreamParameters())
        return [(i.full_mask((pixels.shape[0], pixels.shape[1])), i.score) for i in found.instances]

    return run


def without_sense(segmenter: Engine, similar: float = 0.5, least: float = 0.3) -> Method:
    """The segmenter's candidates after plain suppression by mask IoU, which knows nothing of the stain left over."""

    def run(pixels: NDArray[np.uint8]) -> Scored:
        image, parameters = normalise(pixels), StreamParameters()
        seen = tile_image(image, find_contours(image, parameters.looked_at).regions)
        (proposed,) = propose([seen], segmenter, parameters.decoding)
        kept: list[Candidate] = []
        for item in sorted(proposed.candidates, key=lambda one: -one.score):
            if item.score >= least and all(_iou(item, other) < similar for other in kept):
                kept.append(item)
        level, shape = parameters.decoding.level, (pixels.shape[0], pixels.shape[1])
        return [(region_in_image(item, seen.zoom, level).full_mask(shape), item.score) for item in kept]

    return run


def _iou(one: Candidate, other: Candidate) -> float:
    shared = one.region.overlap_area(other.region)
    return shared / (one.region.area + other.region.area - shared)


def results(
    method: Method, folder: Path, images: list[dict[str, Any]], turn: int = 0
) -> tuple[list[dict[str, Any]], float]:
    """COCO results of a method that is shown the photographs in an orientation, and processor seconds per image."""
    items: list[dict[str, Any]] = []
    seconds = 0.0
    for image in images:
        pixels = cv2.imread(str(folder / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        if pixels is None:
            raise SystemExit(f"{folder / image['file_name']} cannot be read")
        began = time.process_time()
        found = method(orient_planes(np.asarray(pixels, np.uint8), turn))
        seconds += time.process_time() - began
        upright = [(restore_orientation(mask, turn), score) for mask, score in found]
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
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("KARYO_TEST_DATA", "../shared/data")))
    parser.add_argument("--split", choices=["all", "tuned", "held-out"], default="all")
    parser.add_argument("--no-networks", action="store_true", help="let geometry alone decide")
    parser.add_argument("--turned", action="store_true", help="only the default, in eight orientations")
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
        "karyoflow, geometry alone": ours(Networks()),
    }
    if not arguments.no_networks:
        router, segmenter = (load_engine(resolve(name).path, "cpu") for name in (ROUTER, SEGMENTER))
        methods["karyoflow, geometry and router"] = ours(Networks(router))
        methods["karyoflow, segmenter and plain suppression"] = without_sense(segmenter)
        methods["karyoflow, segmenter and selection"] = ours(Networks(None, segmenter))
        methods["karyoflow: router, segmenter and selection"] = ours(Networks(router, segmenter))
    asked = [(name, method, 0) for name, method in methods.items()]
    if arguments.turned:
        name, method = list(methods.items())[-1]
        asked = [(f"{name}, orientation {turn}", method, turn) for turn in range(ORIENTATIONS)]
    print(f"{len(images)} images, {len(agnostic)} chromosomes ({arguments.split})\n")
    print(
        "| method | bbox AP@.5 / mAP / mAR | segm AP@.5 / mAP / mAR | AER | Acc | WCR | unlabelled excused "
        "| right outlines, of results / of chromosomes | edits per cell | CPU s/image |"
    )
    print("| --- " * 10 + "|")
    with tempfile.TemporaryDirectory() as scratch:
        truth_file, result_file = Path(scratch) / "truth.json", Path(scratch) / "results.json"
        categories = [{"id": 1, "name": "chromosome"}]
        truth_file.write_text(json.dumps({"images": images, "annotations": agnostic, "categories": categories}))
        rows = []
        for name, method, turn in asked:
            items, seconds = results(method, arguments.data / "adir" / "images", images, turn)
            result_file.write_text(json.dumps(items))
            figures = evaluate(truth_file, result_file, resamples=0)
            rows.append(np.append(numbers(figures), seconds))
            print(f"| {name} | {line(rows[-1])} |", flush=True)
    if arguments.turned:
        print(f"| mean | {line(np.mean(rows, axis=0))} |")
        print(f"| standard deviation | {line(np.std(rows, axis=0))} |")


def numbers(figures: dict[str, Any]) -> NDArray[np.float64]:
    """Those of an evaluation that the table shows, in its order."""
    box, mask, excused = figures["counted"]["bbox"], figures["counted"]["segm"], figures["excused"]["bbox"]
    shown = [kind[name] for kind in (box, mask) for name in ("AP50", "mAP", "mAR")]
    shown += [kind[name] for kind in (box, excused) for name in ("AER", "Acc", "WCR")]
    return np.array([*shown, mask["clinical_precision"], mask["clinical_recall"], mask["edits"]], float)


def line(row: NDArray[np.float64]) -> str:
    """The cells of a row: what ``numbers`` gives, and seconds."""
    kinds = [" / ".join(f"{value:.3f}" for value in row[k : k + 3]) for k in (0, 3)]
    shares = [f"{value:.1%}" for value in row[6:9]]
    excused, right = (" / ".join(f"{value:.1%}" for value in row[k]) for k in (np.s_[9:12], np.s_[12:14]))
    return " | ".join([*kinds, *shares, excused, right, f"{row[14]:.1f}", f"{row[15]:.2f}"])


if __name__ == "__main__":
    main()
