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
from pycocotools import mask as rle

from karyotyping.classification.recognise import measure_regions
from karyotyping.image.normalise import Normalised
from karyotyping.model import encode_mask
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
from training.embedder.proposals import ask_about, identify_source
from training.segmenter.render import render_sample
from training.segmenter.sample import Sample
from training.segmenter.sources import ChromosomeSource

COMPOSED = "composed"
"""Name of the proposals among the reports."""
_MATCH_IOU = 0.75  # of masks, 0..1, from which a proposal is the whole chromosome
_NO_MATCH_IOU = 0.5  # of masks, 0..1; below it with every chromosome, a proposal is no whole one
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
    source = identify_source(reports=[report.stem for report in reports], tiles=tiles, seed=seed)
    stored = cache_path(cache, f"{COMPOSED}-{source}")
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
    shape = sample.stain.shape[0], sample.stain.shape[1]
    tile = Normalised(sample.stain, "light_on_dark", _NOISE, 0.0, _CONTRAST, 1.0, np.zeros(shape, bool))
    question = next(iter(ask_about(tile)), None)
    if question is None or len(question.members) < _MIN_MEMBERS or not len(sample.masks):
        return []
    measured, scale = measure_regions(question.image, question.regions, question.members)
    regions = [encode_mask(region.full_mask(shape)) for region in question.regions]
    masks = [encode_mask(mask) for mask in sample.masks]
    best = rle.iou(regions, masks, [0] * len(masks)).max(axis=1)
    result: list[tuple[ReportRow, CanvasAndSize]] = []
    for k, (region, iou) in enumerate(zip(question.regions, best, strict=True)):
        # What the border of the tile cuts is neither.
        if region.touches_border(shape) or _NO_MATCH_IOU <= iou < _MATCH_IOU:
            continue
        class_index = ANY_CLASS if iou >= _MATCH_IOU else NO_CLASS
        row = ReportRow(f"{number}/{k}", class_index, False, str(number), str(number))
        result.append((row, draw_canvas(measured[k], scale)))
    return result
