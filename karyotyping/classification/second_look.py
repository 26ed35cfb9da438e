"""What is a chromosome, decided once more when the whole cell has its classes.

Segmentation chooses between outlines one by one. Some errors show only in the whole cell: an instance that resembles no
class, a part of another chromosome in a cell that has 46, and a rest that resembles the chromosome that the cell lacks.
The first two become rests, the last a chromosome to look at. What touches nothing and may be a chromosome stays one,
whatever the count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from karyotyping.chromosome.crop import crop_region
from karyotyping.chromosome.measure import Measurement, measure_in_cell, typical_width
from karyotyping.classification.assignment import assign
from karyotyping.classification.embedder import classify_in_cell
from karyotyping.classification.prediction import Prediction
from karyotyping.image.normalise import Normalised
from karyotyping.model import ChromosomeFlag
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Instance, Segmentation
from models.engine import Engine

_MIN_CHROMOSOMES = 10  # of a cell; fewer do not show what it lacks
_MIN_NAMELESS_SCORE = 0.05  # median scores of the cell, of an instance without a class
_MIN_REST_AREA = 0.1  # median chromosome areas; a 21 has 0.3 to 0.4, and neighbours cover a part of it
_REST_SCORE = 0.5  # 0..1, probability of the outline of a rest


@dataclass(frozen=True, slots=True)
class ClassifiedCell:
    """Segmentation of one image, with what was measured and predicted of its N instances."""

    segmentation: Segmentation
    measured: Sequence[Measurement]
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class _Object:
    """What may be a chromosome: an instance, or a rest that is not one yet."""

    instance: Instance
    measured: Measurement
    prediction: Prediction
    rest: Rest | None = None

    @property
    def whole(self) -> float:
        """Probability from its bands that it is one whole chromosome, 0..1."""
        return 1.0 - self.prediction.unknown

    @property
    def score(self) -> float:
        """Probability from outline and bands that it is one whole chromosome, 0..1."""
        return self.instance.score * self.whole


def look_again(image: Normalised, cell: ClassifiedCell, embedder: Engine) -> ClassifiedCell:
    """Return the cell with the rests that it lacks, and without the instances that resemble nothing.

    Instances and rests compete for the classes of the cell. A rest with a class becomes an uncertain instance. An
    instance without a class and with a score below .05 becomes an uncertain rest. Cells of fewer than 10 chromosomes
    stay as they are.

    Args:
        image: the normalised image.
        cell: its chromosomes.
        embedder: the network.
    """
    if len(cell.measured) < _MIN_CHROMOSOMES:
        return cell
    instances = list(map(_Object, cell.segmentation.instances, cell.measured, cell.predictions))
    least_score = _MIN_NAMELESS_SCORE * float(np.median([item.score for item in instances]))
    objects = [*instances, *_objects_of_rests(image, cell, embedder)]
    assigned = assign(
        [item.prediction.log_probabilities for item in objects],
        [item.whole * (_REST_SCORE if item.rest else 1.0) for item in objects],
    )
    complete = sum(one.class_id is not None for one in assigned) >= NORMAL_COUNT
    chromosomes: list[_Object] = []
    implausible: list[_Object] = []
    taken: set[int] = set()
    for item, assignment in zip(objects, assigned, strict=True):
        if assignment.class_id is not None:
            chromosomes.append(item)
            taken.add(id(item.rest))
        elif item.rest is None:
            doubted = item.score < least_score or (complete and "touching" in item.instance.flags)
            (implausible if doubted else chromosomes).append(item)
    rests = [rest for rest in cell.segmentation.rests if id(rest) not in taken]
    rests += [Rest(item.instance.region(), "uncertain") for item in implausible]
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(item.instance for item in chromosomes), rests=tuple(rests)),
        [item.measured for item in chromosomes],
        [item.prediction for item in chromosomes],
    )


def _objects_of_rests(image: Normalised, cell: ClassifiedCell, embedder: Engine) -> list[_Object]:
    """Return the rests that are large enough for a chromosome."""
    least = _MIN_REST_AREA * float(np.median([item.region().area for item in cell.segmentation.instances]))
    rests = [
        rest for rest in cell.segmentation.rests if rest.kind in ("uncertain", "debris") and rest.region.area >= least
    ]
    typical = typical_width(cell.measured)
    measured = [measure_in_cell(*crop_region(image.stain, rest.region), typical) for rest in rests]
    predictions = classify_in_cell(measured, cell.measured, cell.predictions, embedder)
    return [
        _Object(_uncertain(rest, image), item, prediction, rest)
        for rest, item, prediction in zip(rests, measured, predictions, strict=True)
    ]


def _uncertain(rest: Rest, image: Normalised) -> Instance:
    """Return a rest as an instance to look at."""
    shape = (image.stain.shape[0], image.stain.shape[1])
    region = rest.region.clipped(shape)
    flags: set[ChromosomeFlag] = {"uncertain"}
    if region.touches_border(shape):
        flags.add("cut_by_border")
    return Instance(region.mask, region.origin, _REST_SCORE, frozenset(flags))
