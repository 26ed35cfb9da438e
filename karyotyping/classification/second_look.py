"""What is a chromosome, decided once more when the whole cell has its classes.

Segmentation chooses between outlines one by one. Some errors show only in the whole cell: an instance that resembles no
class, a part of another chromosome in a cell that has 46, debris far from all others, and a rest, two parts together,
or two halves apart that resemble the chromosomes that the cell lacks. The first three become rests, the others
chromosomes to look at. No count decides on what touches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, compress

import numpy as np

from karyotyping.arrays import Bools, Floats
from karyotyping.classification.alternatives import REST_SCORE, Alternative, Candidate, ClassifiedCell, Surroundings
from karyotyping.classification.assignment import assign
from karyotyping.image.normalise import Normalised
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.rests import Rest
from models.engine import Engine

_MIN_CHROMOSOMES = 10  # of a cell; fewer do not show what it lacks
_MIN_NAMELESS_SCORE = 0.05  # median scores of the cell, of an instance without a class
_MIN_SURE_SCORE = 0.9  # 0..1, from which the distance does not count
_MAX_DISTANCE = 2.0  # median chromosome lengths from the nearest other chromosome with a class
_MAX_NAMELESS_DISTANCE = 1.0  # the same, of an instance without a class


def look_again(image: Normalised, cell: ClassifiedCell, embedder: Engine) -> ClassifiedCell:
    """Return the cell with the chromosomes that it lacks, without implausible instances.

    Instances, rests and alternatives compete for the classes of the cell. What is no instance becomes an uncertain one
    if it gets a class, an implausible instance an uncertain rest. Cells of fewer than 10 chromosomes stay as they are.

    Args:
        image: the normalised image.
        cell: its chromosomes.
        embedder: the network.
    """
    if len(cell.measured) < _MIN_CHROMOSOMES:
        return cell
    surroundings = Surroundings(image, cell, embedder)
    rests = surroundings.rests()
    candidates = [*surroundings.instances(), *rests]
    candidates = _choose(candidates, [*surroundings.joins(candidates), *surroundings.cuts(candidates)])
    plausible = _are_plausible(candidates)
    chromosomes = list(compress(candidates, plausible))
    others = list(compress(candidates, ~plausible))
    settled = {id(item.rest) for item in rests} - {id(item.rest) for item in others}
    left = [rest for rest in cell.segmentation.rests if id(rest) not in settled]
    left += [Rest(item.instance.region(), "uncertain") for item in others if item.rest is None]
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(item.instance for item in chromosomes), rests=tuple(left)),
        [item.measured for item in chromosomes],
        [item.prediction for item in chromosomes],
    )


def _choose(candidates: Sequence[Candidate], alternatives: Sequence[Alternative]) -> list[Candidate]:
    """Return the candidates, with alternatives that get a class in place of those without."""
    if not alternatives:
        return list(candidates)
    competing = [*candidates, *chain.from_iterable(one.candidates for one in alternatives)]
    named = set(compress(competing, _are_named(competing)))
    replaced: set[Candidate] = set()
    chosen: list[Candidate] = []
    for one in sorted(alternatives, key=lambda one: -one.whole):
        if named.issuperset(one.candidates) and not (named | replaced) & set(one.instead_of):
            replaced.update(one.instead_of)
            chosen += one.candidates
    return [*(item for item in candidates if item not in replaced), *chosen]


def _are_named(candidates: Sequence[Candidate]) -> Bools:
    """Return which of N candidates get a class of the cell."""
    # Squared, as the assignment halves log odds below 0: they count in full for what is no instance.
    trust = [item.whole if item.is_instance else (REST_SCORE * item.whole) ** 2 for item in candidates]
    assigned = assign([item.prediction.log_probabilities for item in candidates], trust)
    return np.array([one.class_id is not None for one in assigned])


def _are_plausible(candidates: Sequence[Candidate]) -> Bools:
    """Return which of N candidates are chromosomes."""
    named = _are_named(candidates)
    is_instance, score = (np.array([getattr(item, name) for item in candidates]) for name in ("is_instance", "score"))
    touching = np.array(["touching" in item.instance.flags for item in candidates])
    distance = _distances(candidates, named)
    nameless = score >= _MIN_NAMELESS_SCORE * np.median(score[is_instance])
    nameless &= is_instance & (distance <= _MAX_NAMELESS_DISTANCE)
    if named.sum() >= NORMAL_COUNT:
        nameless &= ~touching
    return np.where(named, (score >= _MIN_SURE_SCORE) | (distance <= _MAX_DISTANCE), nameless)


def _distances(candidates: Sequence[Candidate], named: Bools) -> Floats:
    """Return (N,) gaps between boxes and the nearest other named ones, in median lengths."""
    if named.sum() < 2:
        return np.zeros(len(candidates))
    first = np.array([item.instance.origin for item in candidates])
    last = first + [item.instance.mask.shape[::-1] for item in candidates]
    gaps = np.maximum(0, np.maximum(first[:, None] - last, first - last[:, None]))
    distance = np.hypot(gaps[..., 0], gaps[..., 1])
    np.fill_diagonal(distance, np.inf)
    nearest: Floats = distance[:, named].min(axis=1) / np.median([item.measured.length for item in candidates])
    return nearest
