"""What is a chromosome, decided once more when the whole cell has its classes.

Segmentation chooses between outlines one by one. Some errors show only in the whole cell: an instance that resembles no
class, a part of another chromosome in a cell that has 46, debris far from all others, and a rest that resembles the
chromosome that the cell lacks, as may two of them together: the halves of one that is bent double. The first three
become rests, the others a chromosome to look at. No count decides on what touches nothing.
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
from karyotyping.model import ChromosomeFlag, RestKind
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import Contour, connected_regions, join_regions, overlapping_pairs
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Instance, Segmentation
from models.engine import Engine

_MIN_CHROMOSOMES = 10  # of a cell; fewer do not show what it lacks
_MIN_NAMELESS_SCORE = 0.05  # median scores of the cell, of an instance without a class
_MIN_SURE_SCORE = 0.9  # 0..1, from which the distance does not count
_MAX_DISTANCE = 2.0  # median chromosome lengths from the nearest other chromosome with a class
_MAX_NAMELESS_DISTANCE = 1.0  # the same, of an instance without a class
_REST_AREAS = (0.1, 3.0)  # median chromosome areas; a 21 has 0.3 to 0.4, and neighbours cover a part of it
_MAX_WHOLE_OF_HALF = 0.5  # 0..1, probability from the bands that a half is one whole chromosome
_MAX_GAP = 0.2  # chromosome widths between the halves of a chromosome
_REST_SCORE = 0.5  # 0..1, probability of the outline of a rest


_KINDS: tuple[RestKind, ...] = ("uncertain", "debris", "nucleus")


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
    halves: tuple[_Object, ...] = ()

    @property
    def is_instance(self) -> bool:
        """Whether segmentation found it."""
        return self.rest is None and not self.halves

    @property
    def may_be_half(self) -> bool:
        """Whether it may be a part of a chromosome, cut at a bend."""
        return self.whole < _MAX_WHOLE_OF_HALF and (self.rest is None or self.rest.kind != "nucleus")

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
    objects += _joined(image, cell, [item for item in objects if item.may_be_half], embedder)
    chromosomes = list(compress(objects, _are_plausible(objects)))
    taken = {id(one) for item in chromosomes for one in (item, *item.halves)}
    left = [item for item in objects if id(item) not in taken and not item.halves]
    doubted = [item.instance for item in left if item.is_instance]
    judged = {id(item.rest) for item in objects if item.rest} - {id(item.rest) for item in left}
    rests = [rest for rest in cell.segmentation.rests if id(rest) not in judged]
    rests += [Rest(item.region(), "uncertain") for item in doubted]
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(item.instance for item in chromosomes), rests=tuple(rests)),
        [item.measured for item in chromosomes],
        [item.prediction for item in chromosomes],
    )


def _are_named(objects: Sequence[_Object]) -> Bools:
    """Return which of N objects get a class of the cell; a part of one that gets one does not."""
    # Squared, as the assignment halves log odds below 0: they count in full for what is no instance.
    trust = [item.whole if item.is_instance else (_REST_SCORE * item.whole) ** 2 for item in objects]
    assigned = assign([item.prediction.log_probabilities for item in objects], trust)
    classes = {id(item) for item, one in zip(objects, assigned, strict=True) if one.class_id is not None}
    whole = {id(item) for item in objects if id(item) in classes and not classes & set(map(id, item.halves))}
    return np.array([id(item) in whole for item in objects])


def _are_plausible(objects: Sequence[_Object]) -> Bools:
    """Return which of N objects are chromosomes."""
    named = _are_named(objects)
    is_instance, score = (np.array([getattr(item, name) for item in objects]) for name in ("is_instance", "score"))
    touching = np.array(["touching" in item.instance.flags for item in objects])
    distance = _distances(objects, named)
    halves = {id(half) for item in compress(objects, named) for half in item.halves}
    nameless = score >= _MIN_NAMELESS_SCORE * np.median(score[is_instance])
    nameless &= is_instance & (distance <= _MAX_NAMELESS_DISTANCE) & [id(item) not in halves for item in objects]
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
    """Return the rests of the size of a chromosome, those near a nucleus too."""
    typical = float(np.median([item.region().area for item in cell.segmentation.instances]))
    least, most = (area * typical for area in _REST_AREAS)
    rests = [rest for rest in cell.segmentation.rests if rest.kind in _KINDS and least <= rest.area <= most]
    objects = _objects_of(image, cell, [rest.region for rest in rests], embedder)
    return [replace(item, rest=rest) for item, rest in zip(objects, rests, strict=True)]


def _joined(image: Normalised, cell: ClassifiedCell, parts: Sequence[_Object], embedder: Engine) -> list[_Object]:
    """Return every two parts that touch as one object."""
    gap = max(1, round(_MAX_GAP * image.width))
    regions = [item.instance.region() for item in parts]
    near = overlapping_pairs([Contour(np.pad(region.mask, gap), _shifted(region, gap)) for region in regions])
    joins = {(j, k): join_regions([regions[j], regions[k]], gap) for j, k in near}
    joins = {pair: region for pair, region in joins.items() if len(connected_regions(region.mask, min_area=1)) == 1}
    objects = _objects_of(image, cell, list(joins.values()), embedder)
    return [replace(item, halves=(parts[j], parts[k])) for item, (j, k) in zip(objects, joins, strict=True)]


def _shifted(region: Contour, gap: int) -> tuple[int, int]:
    return region.origin[0] - gap, region.origin[1] - gap


def _objects_of(image: Normalised, cell: ClassifiedCell, regions: Sequence[Contour], embedder: Engine) -> list[_Object]:
    """Return regions that are no instances as objects."""
    typical = typical_width(cell.measured)
    measured = [measure_in_cell(*crop_region(image.stain, region), typical) for region in regions]
    predictions = classify_in_cell(measured, cell.measured, cell.predictions, embedder)
    return [
        _Object(_uncertain(region, image), item, prediction)
        for region, item, prediction in zip(regions, measured, predictions, strict=True)
    ]


def _uncertain(region: Contour, image: Normalised) -> Instance:
    """Return a region as an instance to look at."""
    shape = (image.stain.shape[0], image.stain.shape[1])
    region = region.clipped(shape)
    flags: set[ChromosomeFlag] = {"uncertain"}
    if region.touches_border(shape):
        flags.add("cut_by_border")
    return Instance(region.mask, region.origin, _REST_SCORE, frozenset(flags))
