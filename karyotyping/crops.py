"""Classification of crops of single chromosomes, by cell or as one population.

Worker processes decode and straighten the crops, which is most of the work; the network runs in the calling process.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from concurrency import map_ahead
from karyotyping.chromosome.crop import Crop, measure_crops, segment_crop, typical_stain
from karyotyping.chromosome.measure import Measurement
from karyotyping.chromosome.picture import draw_straightened
from karyotyping.classification.assignment import Assignment
from karyotyping.classification.embedder import appearance, cell_scale, classify, predict
from karyotyping.classification.identify import Detection, assign_cell, cell_iscn, identify
from karyotyping.classification.prediction import Prediction
from karyotyping.classification.size_prior import apply_size_prior
from karyotyping.image.decode import ImageRejected, Limits, decode
from karyotyping.model import CellAnalysis
from karyotyping.quality import measure_crop_quality
from models.engine import Engine

Job = TypeVar("Job")
Done = TypeVar("Done")

LIMITS = Limits(max_bytes=16 * 2**20, max_pixels=1_000_000, min_side=4)
"""Limits of a crop's file and image."""
_EMPTY_CROP = "Nothing in this picture differs from its background; is it a chromosome?"
_CHUNK = 128  # crops of one job without cells
_JOBS_AHEAD = 3  # jobs submitted for each process; more would only use memory
_MIN_UPRIGHT = 0.25  # height over length; below it a chromosome is horizontal and has no upper end


@dataclass(frozen=True, slots=True)
class RejectedCrop:
    """A crop that cannot be classified: a named ``reason`` and a ``sentence`` for people."""

    reason: str
    sentence: str


CropFile = bytes | RejectedCrop
"""Content of a file, or the reason of its rejection."""


@dataclass(frozen=True, slots=True)
class ClassifiedCrop:
    """The chromosome of one crop."""

    measured: Measurement
    prediction: Prediction
    assignment: Assignment | None
    """Class given its cell; None without a known cell."""

    @property
    def score(self) -> float:
        """Probability that this is a whole chromosome of its most probable class, 0..1."""
        return (1.0 - self.prediction.unknown) * self.prediction.top5[0][1]

    @property
    def p_up(self) -> float | None:
        """Probability that the p arm is the upper one in the crop; None if it is horizontal."""
        _, down = self.measured.axis[-1] - self.measured.axis[0]
        if abs(down) < _MIN_UPRIGHT * self.measured.length:
            return None
        p_up = self.prediction.p_up(None if self.assignment is None else self.assignment.class_id)
        return p_up if down > 0 else 1.0 - p_up


def assemble_cell(crops: Sequence[ClassifiedCrop]) -> CellAnalysis:
    """Return the cell of ``crops``; each mask covers its whole straightened chromosome."""
    measured = [crop.measured for crop in crops]
    detections = [Detection(np.ones(item.inside.shape, np.bool_)) for item in measured]
    chromosomes = identify(detections, measured, [crop.prediction for crop in crops], draw_straightened(measured))
    quality = measure_crop_quality(chromosomes)
    return CellAnalysis((0, 0), chromosomes, quality, cell_iscn(chromosomes, quality))


def classify_cells(
    cells: Iterable[Sequence[CropFile]], embedder: Engine, jobs: int = 1
) -> Iterator[list[ClassifiedCrop | RejectedCrop]]:
    """Classify the crops of each cell and assign them together.

    Args:
        cells: crops of each cell.
        embedder: the network.
        jobs: processes.

    Yields:
        Results of one cell, in the order of its crops.
    """
    for members in _map_ordered(_measure_cell, cells, jobs):
        measured = [item for item in members if isinstance(item, Measurement)]
        predictions = classify(measured, embedder)
        classified = map(ClassifiedCrop, measured, predictions, assign_cell(predictions))
        yield [item if isinstance(item, RejectedCrop) else next(classified) for item in members]


def classify_population(
    files: Iterable[CropFile], embedder: Engine, jobs: int = 1, advance: Callable[[int], None] = lambda count: None
) -> list[ClassifiedCrop | RejectedCrop]:
    """Classify crops of unknown cells with the scale and the stain of one common cell.

    Args:
        files: the crops.
        embedder: the network.
        jobs: processes.
        advance: progress callback; its argument is the number of crops measured since the last call.

    Returns:
        Results in the order of ``files``.
    """
    crops = [item for chunk in _map_ordered(_segment_all, _chunks(files), jobs) for item in chunk]
    typical = typical_stain([item for item in crops if isinstance(item, Crop)])
    members: list[Measurement | RejectedCrop] = []
    for chunk in _map_ordered(partial(_measure_all, typical=typical), _chunks(crops), jobs):
        members += chunk
        advance(len(chunk))
    measured = [item for item in members if isinstance(item, Measurement)]
    classified = map(ClassifiedCrop, measured, _predict_chunks(measured, embedder), [None] * len(measured))
    return [item if isinstance(item, RejectedCrop) else next(classified) for item in members]


def _predict_chunks(measured: Sequence[Measurement], embedder: Engine) -> tuple[Prediction, ...]:
    """Predict chromosomes of one population, with canvases of one chunk at a time in memory."""
    if not measured:
        return ()
    scale, predictions = cell_scale(measured), list[Prediction]()
    for chunk in _chunks(measured):
        predictions += predict(np.stack([appearance(item, scale) for item in chunk]), embedder)
    return apply_size_prior(predictions, [item.size for item in measured])


def _measure_cell(files: Sequence[CropFile]) -> list[Measurement | RejectedCrop]:
    crops = _segment_all(files)
    return _measure_all(crops, typical_stain([item for item in crops if isinstance(item, Crop)]))


def _measure_all(crops: Sequence[Crop | RejectedCrop], typical: float) -> list[Measurement | RejectedCrop]:
    measured = iter(measure_crops([item for item in crops if isinstance(item, Crop)], typical))
    return [item if isinstance(item, RejectedCrop) else next(measured) for item in crops]


def _segment_all(files: Sequence[CropFile]) -> list[Crop | RejectedCrop]:
    return [_segment(data) for data in files]


def _segment(data: CropFile) -> Crop | RejectedCrop:
    if isinstance(data, RejectedCrop):
        return data
    try:
        return segment_crop(decode(data, LIMITS).pixels)
    except ImageRejected as problem:
        return RejectedCrop(problem.reason, problem.sentence)
    except ValueError:
        return RejectedCrop("nothing_in_it", _EMPTY_CROP)


def _map_ordered(work: Callable[[Job], Done], items: Iterable[Job], jobs: int) -> Iterator[Done]:
    """Return the results of ``work`` in order, from ``jobs`` processes or from this one if 1."""
    if jobs == 1:
        return map(work, items)
    # A fork would copy the locks of the engine's threads in an undefined state.
    processes = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))
    return map_ahead(processes, work, items, ahead=_JOBS_AHEAD * jobs)


def _chunks(items: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
