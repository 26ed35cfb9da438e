"""Pictures of single chromosomes, classified: by cells, or all together if nobody knows their cells.

Reading and straightening, which is most of the work, is shared out to processes; the network runs in this one.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeVar

import numpy as np

from karyotyping.chromosome.crop import Crop, measure_crops, segment_crop, typical_stain
from karyotyping.chromosome.measure import Measurement
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
"""What a picture of one chromosome may be."""
_NOTHING = "Nothing in this picture stands out of its background; is it a chromosome?"
_CHUNK = 128
"""Pictures that a process works on at a time when there are no cells."""
_AHEAD = 3
"""Jobs that wait for each process; more would only take memory."""
_FLAT = 0.25
"""Height over length below which a chromosome lies flat, and "up" means nothing."""


@dataclass(frozen=True, slots=True)
class RejectedCrop:
    """A picture that cannot be classified: a named ``reason`` and a ``sentence`` for people."""

    reason: str
    sentence: str


CropFile = bytes | RejectedCrop
"""The content of a file, or why there is none."""


@dataclass(frozen=True, slots=True)
class ClassifiedCrop:
    """What one picture shows."""

    measured: Measurement
    classified: Prediction
    assigned: Assignment | None
    """What its cell says, if its cell is known."""

    @property
    def score(self) -> float:
        """Probability that this is a whole chromosome, and of its likeliest class."""
        return (1.0 - self.classified.unknown) * self.classified.top5[0][1]

    @property
    def p_up(self) -> float | None:
        """Probability that the p arm is at the upper end of the picture; None if the chromosome lies flat."""
        _, down = self.measured.axis[-1] - self.measured.axis[0]
        if abs(down) < _FLAT * self.measured.length:
            return None
        p_up = self.classified.p_up(None if self.assigned is None else self.assigned.class_id)
        return p_up if down > 0 else 1.0 - p_up


def assemble_cell(answers: Sequence[ClassifiedCrop]) -> CellAnalysis:
    """The cell that cut-out chromosomes make. It has no photograph: each is outlined by its straightened picture."""
    measured = [answer.measured for answer in answers]
    outlined = [Detection(np.ones(item.straightened.shape, np.bool_)) for item in measured]
    chromosomes = identify(outlined, measured, [answer.classified for answer in answers])
    return CellAnalysis((0, 0), chromosomes, measure_crop_quality(chromosomes), cell_iscn(chromosomes))


def classify_cells(
    cells: Iterable[Sequence[CropFile]], embedder: Engine, jobs: int = 1
) -> Iterator[list[ClassifiedCrop | RejectedCrop]]:
    """Classify the pictures of each cell, and assign them together; their order stays."""
    for members in _shared(_measure_cell, cells, jobs):
        found = [item for item in members if isinstance(item, Measurement)]
        classified = classify(found, embedder)
        answers = map(ClassifiedCrop, found, classified, assign_cell(classified))
        yield [item if isinstance(item, RejectedCrop) else next(answers) for item in members]


def classify_population(
    files: Iterable[CropFile], embedder: Engine, jobs: int = 1, advance: Callable[[int], None] = lambda count: None
) -> list[ClassifiedCrop | RejectedCrop]:
    """Classify pictures of unknown cells, whose scale and stain are taken to be those of one single cell.

    Args:
        files: what is classified; the order stays.
        embedder: the network.
        jobs: processes.
        advance: is told how many more pictures have been measured.
    """
    crops = [item for chunk in _shared(_read_all, _chunks(files), jobs) for item in chunk]
    typical = typical_stain([item for item in crops if isinstance(item, Crop)])
    members: list[Measurement | RejectedCrop] = []
    for chunk in _shared(partial(_measure_all, typical=typical), _chunks(crops), jobs):
        members += chunk
        advance(len(chunk))
    found = [item for item in members if isinstance(item, Measurement)]
    answers = map(ClassifiedCrop, found, _classified_in_parts(found, embedder), [None] * len(found))
    return [item if isinstance(item, RejectedCrop) else next(answers) for item in members]


def _classified_in_parts(found: Sequence[Measurement], embedder: Engine) -> tuple[Prediction, ...]:
    if not found:
        return ()
    scale, said = cell_scale(found), list[Prediction]()
    for part in _chunks(found):
        said += predict(np.stack([appearance(item, scale) for item in part]), embedder)
    return apply_size_prior(said, [item.size for item in found])


def _measure_cell(files: Sequence[CropFile]) -> list[Measurement | RejectedCrop]:
    crops = _read_all(files)
    return _measure_all(crops, typical_stain([item for item in crops if isinstance(item, Crop)]))


def _measure_all(crops: Sequence[Crop | RejectedCrop], typical: float) -> list[Measurement | RejectedCrop]:
    measured = iter(measure_crops([item for item in crops if isinstance(item, Crop)], typical))
    return [item if isinstance(item, RejectedCrop) else next(measured) for item in crops]


def _read_all(files: Sequence[CropFile]) -> list[Crop | RejectedCrop]:
    return [_read(data) for data in files]


def _read(data: CropFile) -> Crop | RejectedCrop:
    if isinstance(data, RejectedCrop):
        return data
    try:
        return segment_crop(decode(data, LIMITS).pixels)
    except ImageRejected as problem:
        return RejectedCrop(problem.reason, problem.sentence)
    except ValueError:
        return RejectedCrop("nothing_in_it", _NOTHING)


def _shared(work: Callable[[Job], Done], todo: Iterable[Job], jobs: int) -> Iterator[Done]:
    """``map`` over ``jobs`` processes: in order, and never far ahead of what is taken."""
    if jobs == 1:
        yield from map(work, todo)
        return
    waiting: deque[Future[Done]] = deque()
    # Forked processes would inherit the engine's threads in whatever state they are.
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for job in todo:
            waiting.append(pool.submit(work, job))
            if len(waiting) > _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _chunks(items: Iterable[Job]) -> Iterator[list[Job]]:
    rest = iter(items)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
