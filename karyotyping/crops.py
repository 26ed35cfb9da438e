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

from karyotyping.chromosome.crop import Crop, measure_crops, read_crop, typical_stain
from karyotyping.chromosome.measure import Measured
from karyotyping.classification.assignment import Assigned
from karyotyping.classification.embedder import appearance, cell_scale, classify, read
from karyotyping.classification.identify import Outlined, assign_as_whole, cell_iscn, identify
from karyotyping.classification.prediction import Classified
from karyotyping.classification.size_prior import with_size
from karyotyping.image.decode import ImageRejected, Limits, decode
from karyotyping.model import CellAnalysis
from karyotyping.quality import judge_cut_out
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
class Refused:
    """A picture that cannot be classified: a named ``reason`` and a ``sentence`` for people."""

    reason: str
    sentence: str


File = bytes | Refused
"""The content of a file, or why there is none."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one picture shows."""

    measured: Measured
    classified: Classified
    assigned: Assigned | None
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


def cell_of(answers: Sequence[Answer]) -> CellAnalysis:
    """The cell that cut-out chromosomes make. It has no photograph: each is outlined by its straightened picture."""
    measured = [answer.measured for answer in answers]
    outlined = [Outlined(np.ones(item.straightened.shape, np.bool_)) for item in measured]
    chromosomes = identify(outlined, measured, [answer.classified for answer in answers])
    return CellAnalysis((0, 0), chromosomes, judge_cut_out(chromosomes), cell_iscn(chromosomes))


def classify_cells(
    cells: Iterable[Sequence[File]], embedder: Engine, jobs: int = 1
) -> Iterator[list[Answer | Refused]]:
    """Classify the pictures of each cell, and assign them together; their order stays."""
    for members in _shared(_measure_cell, cells, jobs):
        found = [item for item in members if isinstance(item, Measured)]
        classified = classify(found, embedder)
        answers = map(Answer, found, classified, assign_as_whole(classified))
        yield [item if isinstance(item, Refused) else next(answers) for item in members]


def classify_population(
    files: Iterable[File], embedder: Engine, jobs: int = 1, advance: Callable[[int], None] = lambda count: None
) -> list[Answer | Refused]:
    """Classify pictures of unknown cells, whose scale and stain are taken to be those of one single cell.

    Args:
        files: what is classified; the order stays.
        embedder: the network.
        jobs: processes.
        advance: is told how many more pictures have been measured.
    """
    crops = [item for chunk in _shared(_read_all, _chunks(files), jobs) for item in chunk]
    typical = typical_stain([item for item in crops if isinstance(item, Crop)])
    members: list[Measured | Refused] = []
    for chunk in _shared(partial(_measure_all, typical=typical), _chunks(crops), jobs):
        members += chunk
        advance(len(chunk))
    found = [item for item in members if isinstance(item, Measured)]
    answers = map(Answer, found, _classified_in_parts(found, embedder), [None] * len(found))
    return [item if isinstance(item, Refused) else next(answers) for item in members]


def _classified_in_parts(found: Sequence[Measured], embedder: Engine) -> tuple[Classified, ...]:
    if not found:
        return ()
    scale, said = cell_scale(found), list[Classified]()
    for part in _chunks(found):
        said += read(np.stack([appearance(item, scale) for item in part]), embedder)
    return with_size(said, [item.size for item in found])


def _measure_cell(files: Sequence[File]) -> list[Measured | Refused]:
    crops = _read_all(files)
    return _measure_all(crops, typical_stain([item for item in crops if isinstance(item, Crop)]))


def _measure_all(crops: Sequence[Crop | Refused], typical: float) -> list[Measured | Refused]:
    measured = iter(measure_crops([item for item in crops if isinstance(item, Crop)], typical))
    return [item if isinstance(item, Refused) else next(measured) for item in crops]


def _read_all(files: Sequence[File]) -> list[Crop | Refused]:
    return [_read(data) for data in files]


def _read(data: File) -> Crop | Refused:
    if isinstance(data, Refused):
        return data
    try:
        return read_crop(decode(data, LIMITS).pixels)
    except ImageRejected as problem:
        return Refused(problem.reason, problem.sentence)
    except ValueError:
        return Refused("nothing_in_it", _NOTHING)


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
