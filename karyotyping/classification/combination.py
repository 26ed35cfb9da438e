"""The better of two results of one image, place by place.

The segmenter's errors change when an image is rotated, in one place for the better and in another for the worse. Where
two results differ, the one that makes the whole cell more plausible stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product

from scipy.cluster.hierarchy import DisjointSet

from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.alternatives import ClassifiedCell
from karyotyping.classification.comparison import plausibility
from karyotyping.classification.prediction import Prediction
from karyotyping.segmentation.contours import Contour, join_regions
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Instance

Part = tuple[Instance, Measurement, Prediction] | Rest
"""What explains a region: a chromosome or a rest."""

_SAME_PLACE = 0.3  # share of the smaller of two regions that both cover
_SAME_OUTLINE = 0.8  # intersection over union of two outlines that count as one
_MIN_EXPLAINED = 0.8  # share of the pixels of one result in a place that the other one explains too


def combine(first: ClassifiedCell, second: ClassifiedCell) -> ClassifiedCell:
    """Return the more plausible of two results of one image, with what is better in the other.

    Args:
        first: a result; it stays where both are equally plausible.
        second: another one.
    """
    best, other = (first, second) if plausibility(first) >= plausibility(second) else (second, first)
    parts = _parts(best)
    for own, others in list(_places(parts, _parts(other))):
        left = [part for part in parts if all(part is not one for one in own)]
        options = [[*left, *_doubt(own, others)], [*left, *_doubt(others, own)]]
        cells = [_rebuild(best, option) for option in options]
        chosen = int(plausibility(cells[1]) > plausibility(cells[0]))
        best, parts = cells[chosen], options[chosen]
    return best


def _parts(cell: ClassifiedCell) -> list[Part]:
    return [*zip(cell.segmentation.instances, cell.measured, cell.predictions, strict=True), *cell.segmentation.rests]


def _doubt(parts: Sequence[Part], others: Sequence[Part]) -> Sequence[Part]:
    """Return the parts of a place; debris that is a chromosome in the other result may be one."""
    if not _are_rests(parts) or _are_rests(others):
        return parts
    return [_as_uncertain(part) if isinstance(part, Rest) else part for part in parts]


def _as_uncertain(rest: Rest) -> Rest:
    return replace(rest, kind="uncertain") if rest.kind == "debris" else rest


def _are_rests(parts: Sequence[Part]) -> bool:
    return all(isinstance(part, Rest) for part in parts)


def _region(part: Part) -> Contour:
    return part.region if isinstance(part, Rest) else part[0].region()


def _places(ours: Sequence[Part], theirs: Sequence[Part]) -> Iterator[tuple[list[Part], list[Part]]]:
    """Yield what two results have in each place where they differ and explain the same pixels."""
    parts = [*ours, *theirs]
    regions = list(map(_region, parts))
    first, second = range(len(ours)), range(len(ours), len(parts))
    groups = DisjointSet(range(len(parts)))
    for a, b in product(first, second):
        if regions[a].overlap_area(regions[b]) >= _SAME_PLACE * max(1, min(regions[a].area, regions[b].area)):
            groups.merge(a, b)
    for group in groups.subsets():
        own, others = ([n for n in side if n in group] for side in (first, second))
        place = [parts[n] for n in own], [parts[n] for n in others]
        if not _are_same(*place) and _explain([regions[n] for n in others], [regions[n] for n in own]):
            yield place


def _are_same(ours: Sequence[Part], theirs: Sequence[Part]) -> bool:
    """Return whether two results have the same chromosome, or none, in a place."""
    if _are_rests(ours) and _are_rests(theirs):
        return True
    if len(ours) != 1 or len(theirs) != 1 or isinstance(ours[0], Rest) or isinstance(theirs[0], Rest):
        return False
    one, other = _region(ours[0]), _region(theirs[0])
    shared = one.overlap_area(other)
    return shared >= _SAME_OUTLINE * (one.area + other.area - shared)


def _explain(regions: Sequence[Contour], others: Sequence[Contour]) -> bool:
    """Return whether ``regions`` cover most pixels of ``others``."""
    if not regions or not others:
        return not others
    needed = join_regions(others, 1)
    return needed.overlap_area(join_regions(regions, 1)) >= _MIN_EXPLAINED * needed.area


def _rebuild(cell: ClassifiedCell, parts: Iterable[Part]) -> ClassifiedCell:
    """Return the cell with these chromosomes and rests."""
    parts = list(parts)
    chromosomes = [part for part in parts if not isinstance(part, Rest)]
    chromosomes.sort(key=lambda part: part[0].origin[::-1])
    rests = tuple(part for part in parts if isinstance(part, Rest))
    return ClassifiedCell(
        replace(cell.segmentation, instances=tuple(part[0] for part in chromosomes), rests=rests),
        [part[1] for part in chromosomes],
        [part[2] for part in chromosomes],
    )
