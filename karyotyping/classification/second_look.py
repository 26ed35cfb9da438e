"""What is a chromosome, decided once more when the whole cell has its classes.

Segmentation chooses between outlines one by one. Some errors show only in the whole cell: an instance that resembles no
class, a part of another chromosome in a cell that has 46, debris far from all others, and a rest that resembles the
chromosome that the cell lacks. The first three become rests, the last a chromosome to look at. No count decides on what
touches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from karyotyping.arrays import Bools, Floats
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
_MIN_SURE_SCORE = 0.9  # 0..1, from which the distance does not count
_MAX_DISTANCE = 2.0  # median chromosome lengths from the nearest other chromosome with a class
_MAX_NAMELESS_DISTANCE = 1.0  # the same, of an instance without a class
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
    """Return the cell with the rests that it lacks, without implausible instances.

    Instances and rests compete for the classes of the cell. A rest with a class becomes an uncertain instance, an
    implausible instance an uncertain rest. Cells of fewer than 10 chromosomes stay as they are.

    Args:
        image: the normalised image.
        cell: its chromosomes.
        embedder: the network.
    """
    if len(cell.measured) < _MIN_CHROMOSOMES:
        return cell
    instances = list(map(_Object, cell.segmentation.instances, cell.measured, cell.predictions))
    objects = [*instances, *_objects_of_rests(image, cell, embedder)]
    plausible = _are_plausible(objects)
    chromosomes = list(compress(objects, plausible))
    doubted = compress(instances, ~plausible[: len(instances)])
    taken = {id(item.rest) for item in chromosomes}
    rests = [rest for rest in cell.segmentation.rests if id(rest) not in taken]
    rests += [Rest(item.instance.region(), "uncertain") for item in doubted]
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(item.instance for item in chromosomes), rests=tuple(rests)),
        [item.measured for item in chromosomes],
        [item.prediction for item in chromosomes],
    )


def _are_plausible(objects: Sequence[_Object]) -> Bools:
    """Return which of N objects are chromosomes."""
    is_rest = np.array([item.rest is not None for item in objects])
    whole, score = (np.array([getattr(item, name) for item in objects]) for name in ("whole", "score"))
    # Squared, as the assignment halves log odds below 0: they count in full for a rest.
    trust = np.where(is_rest, (_REST_SCORE * whole) ** 2, whole)
    assigned = assign([item.prediction.log_probabilities for item in objects], trust.tolist())
    named = np.array([one.class_id is not None for one in assigned])
    touching = np.array(["touching" in item.instance.flags for item in objects])
    distance = _distances(objects, named)
    nameless = score >= _MIN_NAMELESS_SCORE * np.median(score[~is_rest])
    nameless &= ~is_rest & (distance <= _MAX_NAMELESS_DISTANCE)
    if named.sum() >= NORMAL_COUNT:
        nameless &= ~touching
    return np.where(named, (score >= _MIN_SURE_SCORE) | (distance <= _MAX_DISTANCE), nameless)


def _distances(objects: Sequence[_Object], named: Bools) -> Floats:
    """Return (N,) gaps between boxes and the nearest other named ones, in median lengths."""
    if named.sum() < 2:
        return np.zeros(len(objects))
    first = np.array([item.instance.origin for item in objects])
    last = first + [item.instance.mask.shape[::-1] for item in objects]
    gaps = np.maximum(0, np.maximum(first[:, None] - last, first - last[:, None]))
    distance = np.hypot(gaps[..., 0], gaps[..., 1])
    np.fill_diagonal(distance, np.inf)
    nearest: Floats = distance[:, named].min(axis=1) / np.median([item.measured.length for item in objects])
    return nearest


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
