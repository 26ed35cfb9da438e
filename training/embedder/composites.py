"""Proposals of the segmenter in simulated tiles: whole chromosomes, and others.

The tiles are composed of the chromosomes of karyotype reports, so every stain of the reports has halves, pairs and
debris as the segmenter outlines them. Classes are not used: a whole chromosome is one of any class.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from karyotyping.arrays import Floats
from karyotyping.classification.recognise import measure_regions
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour
from training.common.progress import Log
from training.embedder.data import (
    ANY_CLASS,
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
from training.segmenter.render import render_sample
from training.segmenter.sample import Sample
from training.segmenter.sources import ChromosomeSource

COMPOSED = "composed"
"""Name of the proposals among the reports."""
_WHOLE_IOU = 0.75  # of masks, 0..1, from which a proposal is the whole chromosome
_OTHER_IOU = 0.5  # of masks, 0..1; below it with every chromosome, a proposal is no whole one
_MIN_MEMBERS = 5  # chromosomes that give the scale of a tile
_NOISE = 0.01  # share of the full range, of a tile
_CONTRAST = 0.5  # share of the full range, of a tile
_JOB_SIZE = 10  # tiles


def read_composed(
    reports: Sequence[Path], tiles: int, seed: int, *, cache: Path, workers: int = 2, log: Log = print
) -> Chromosomes:
    """Return the proposals of the segmenter in simulated tiles.

    Args:
        reports: karyotype reports whose chromosomes are composed.
        tiles: number of tiles.
        seed: seed of the tiles.
        cache: folder that keeps the chromosomes.
        workers: processes to render and segment with.
        log: receives lines of progress.
    """
    stored = cache_path(cache, f"{COMPOSED}-{tiles}-{seed}")
    if not stored.is_file():
        log(f"segmenting {tiles} tiles of simulated metaphases")
        seeds = [range(first, min(first + _JOB_SIZE, tiles)) for first in range(0, tiles, _JOB_SIZE)]
        # Spawned: a process with threads of ONNX Runtime must not be forked.
        processes = ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=_prepare, initargs=(tuple(reports), seed)
        )
        with processes as pool:
            items = list(chain.from_iterable(pool.map(_read_tiles, seeds)))
        save_chromosomes(stored, items, COMPOSED)
    return load_chromosomes(stored)


_prepared: list[tuple[ChromosomeSource, int]] = []
"""Source of the chromosomes and seed of this worker process."""


def _prepare(reports: Sequence[Path], seed: int) -> None:
    cv2.setNumThreads(1)
    _prepared[:] = [(ChromosomeSource(reports), seed)]


def _read_tiles(numbers: range) -> list[tuple[ReportRow, CanvasAndSize]]:
    source, seed = _prepared[0]
    return [item for number in numbers for item in _read_tile(render_sample(seed * 1_000_000 + number, source), number)]


def _read_tile(sample: Sample, number: int) -> list[tuple[ReportRow, CanvasAndSize]]:
    """Return the proposals in a tile that are surely whole, or surely not."""
    shape = sample.stain.shape
    tile = Normalised(sample.stain, "light_on_dark", _NOISE, 0.0, _CONTRAST, 1.0, np.zeros(shape, bool))
    result: list[tuple[ReportRow, CanvasAndSize]] = []
    for question in ask_about(tile)[:1]:
        if len(question.members) < _MIN_MEMBERS:
            continue
        measured, scale = measure_regions(question.image, question.regions, question.members)
        best = mask_iou(question.regions, sample.masks).max(axis=1, initial=0)
        for k, (region, iou) in enumerate(zip(question.regions, best, strict=True)):
            if _at_border(region, shape) or _OTHER_IOU <= iou < _WHOLE_IOU:
                continue
            row = ReportRow(
                f"{number}/{k}", ANY_CLASS if iou >= _WHOLE_IOU else NO_CLASS, False, str(number), str(number)
            )
            result.append((row, draw_canvas(measured[k], scale)))
    return result


def mask_iou(regions: Sequence[Contour], masks: np.ndarray) -> Floats:
    """Return the (N, M) intersections over unions of regions (N,) and masks (M, H, W)."""
    areas = masks.sum(axis=(1, 2))
    result = np.zeros((len(regions), len(masks)))
    for k, region in enumerate(regions):
        in_image, in_crop = region.window(masks.shape[1:])
        shared = (masks[:, *in_image] & region.mask[in_crop]).sum(axis=(1, 2))
        result[k] = shared / np.maximum(areas + region.area - shared, 1)
    return result


def _at_border(region: Contour, shape: tuple[int, ...]) -> bool:
    """Return whether a region touches the border of an image, which may cut it."""
    rows, columns = np.nonzero(region.mask)
    left, top = region.origin
    return bool(
        left + columns.min() <= 0
        or top + rows.min() <= 0
        or left + columns.max() >= shape[1] - 1
        or top + rows.max() >= shape[0] - 1
    )
