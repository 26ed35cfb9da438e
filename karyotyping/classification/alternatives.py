"""What else in a cell may be a chromosome: rests, two parts as one, and one region as two.

Segmentation cuts some chromosomes that are bent double, and leaves some that touch as one. Their outlines resemble no
class. Alternatives are recognised like chromosomes; :mod:`karyotyping.classification.second_look` decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from karyotyping.chromosome.crop import crop_region
from karyotyping.chromosome.measure import Measurement, measure_in_cell, typical_width
from karyotyping.classification.embedder import classify_in_cell
from karyotyping.classification.prediction import Prediction
from karyotyping.image.normalise import Normalised
from karyotyping.model import ChromosomeFlag, RestKind
from karyotyping.segmentation.contours import Contour, connected_regions, join_regions, overlapping_pairs
from karyotyping.segmentation.cut_lines import CutParameters, apply_cut, find_cuts
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.result import Instance, Segmentation
from models.engine import Engine

REST_SCORE = 0.5  # 0..1, probability of an outline that segmentation did not choose

_KINDS: tuple[RestKind, ...] = ("uncertain", "debris", "nucleus")
_REST_AREAS = (0.1, 3.0)  # median chromosome areas; a 21 has 0.3 to 0.4, and neighbours cover a part of it
_CUT_AREAS = (0.5, 4.0)  # median chromosome areas of what is cut in two
_MIN_PART_AREA = 0.12  # median chromosome areas
_MAX_CUTS = 6  # of one region
_MAX_WHOLE_OF_WRONG = 0.5  # 0..1, probability from the bands that a wrong outline is one whole chromosome
_MIN_WHOLE_OF_CUT = 0.9  # 0..1, the same of both parts of a cut
_MAX_GAP = 0.2  # chromosome widths between the halves of a chromosome


@dataclass(frozen=True, slots=True)
class ClassifiedCell:
    """Segmentation of one image, with what was measured and predicted of its N instances."""

    segmentation: Segmentation
    measured: Sequence[Measurement]
    predictions: Sequence[Prediction]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What may be a chromosome."""

    instance: Instance
    measured: Measurement
    prediction: Prediction
    is_instance: bool = False
    """Whether segmentation chose its outline."""
    rest: Rest | None = None
    """The rest that it is otherwise."""

    @property
    def whole(self) -> float:
        """Probability from its bands that it is one whole chromosome, 0..1."""
        return 1.0 - self.prediction.unknown

    @property
    def score(self) -> float:
        """Probability from outline and bands that it is one whole chromosome, 0..1."""
        return self.instance.score * self.whole

    @property
    def is_doubtful(self) -> bool:
        """Whether its outline may be wrong."""
        return self.whole < _MAX_WHOLE_OF_WRONG and (self.rest is None or self.rest.kind != "nucleus")


@dataclass(frozen=True, slots=True)
class Alternative:
    """Candidates that take the place of others."""

    candidates: tuple[Candidate, ...]
    instead_of: tuple[Candidate, ...]

    @property
    def whole(self) -> float:
        """Least probability of its candidates to be one whole chromosome, 0..1."""
        return min(item.whole for item in self.candidates)


class Surroundings:
    """Recognises regions at the scale of the chromosomes of a cell.

    Args:
        image: the normalised image.
        cell: its chromosomes, at least one.
        embedder: the network.
    """

    def __init__(self, image: Normalised, cell: ClassifiedCell, embedder: Engine) -> None:
        self._image, self._cell, self._embedder = image, cell, embedder
        self._area = float(np.median([item.region().area for item in cell.segmentation.instances]))

    def instances(self) -> list[Candidate]:
        """Return the instances."""
        cell = self._cell
        triples = zip(cell.segmentation.instances, cell.measured, cell.predictions, strict=True)
        return [Candidate(*triple, is_instance=True) for triple in triples]

    def rests(self) -> list[Candidate]:
        """Return the rests of the size of a chromosome, those near a nucleus too."""
        least, most = (area * self._area for area in _REST_AREAS)
        rests = [r for r in self._cell.segmentation.rests if r.kind in _KINDS and least <= r.area <= most]
        found = self._recognise([rest.region for rest in rests])
        return [replace(item, rest=rest) for item, rest in zip(found, rests, strict=True)]

    def joins(self, parts: Sequence[Candidate]) -> list[Alternative]:
        """Return every two doubtful parts that touch as one."""
        parts = [item for item in parts if item.is_doubtful]
        gap = max(1, round(_MAX_GAP * self._image.width))
        regions = [item.instance.region() for item in parts]
        widened = [
            Contour(np.pad(region.mask, gap), (region.origin[0] - gap, region.origin[1] - gap)) for region in regions
        ]
        pairs = overlapping_pairs(widened)
        joined = [join_regions([regions[j], regions[k]], gap) for j, k in pairs]
        connected = [len(connected_regions(region.mask)) == 1 for region in joined]
        pairs = [pair for pair, is_one in zip(pairs, connected, strict=True) if is_one]
        found = self._recognise([region for region, is_one in zip(joined, connected, strict=True) if is_one])
        return [Alternative((item,), (parts[j], parts[k])) for item, (j, k) in zip(found, pairs, strict=True)]

    def cuts(self, regions: Sequence[Candidate]) -> list[Alternative]:
        """Return doubtful regions cut in two that each resemble a whole chromosome, by the best cut."""
        pairs = [(item, pair) for item in regions if item.is_doubtful for pair in self._pairs(item.instance.region())]
        found = iter(self._recognise([part for _, pair in pairs for part in pair]))
        best: dict[Candidate, Alternative] = {}
        for item, _ in pairs:
            cut = Alternative((next(found), next(found)), (item,))
            if cut.whole >= max(_MIN_WHOLE_OF_CUT, best[item].whole if item in best else 0.0):
                best[item] = cut
        return list(best.values())

    def _pairs(self, region: Contour) -> Iterator[list[Contour]]:
        """Yield the parts of a region by its likeliest cuts."""
        if not _CUT_AREAS[0] * self._area <= region.area <= _CUT_AREAS[1] * self._area:
            return
        stain = region.crop(self._image.stain)
        for cut in find_cuts(region.mask, stain, self._image.width, CutParameters())[:_MAX_CUTS]:
            parts = [Contour(mask, region.origin) for mask in apply_cut(region.mask, cut)]
            if len(parts) > 1 and min(part.area for part in parts) >= _MIN_PART_AREA * self._area:
                yield parts

    def _recognise(self, regions: Sequence[Contour]) -> list[Candidate]:
        typical = typical_width(self._cell.measured)
        measured = [measure_in_cell(*crop_region(self._image.stain, region), typical) for region in regions]
        predictions = classify_in_cell(measured, self._cell.measured, self._cell.predictions, self._embedder)
        return [
            Candidate(self._uncertain(region), item, prediction)
            for region, item, prediction in zip(regions, measured, predictions, strict=True)
        ]

    def _uncertain(self, region: Contour) -> Instance:
        """Return a region as an instance to look at."""
        shape = (self._image.stain.shape[0], self._image.stain.shape[1])
        region = region.clipped(shape)
        flags: set[ChromosomeFlag] = {"uncertain"}
        if region.touches_border(shape):
            flags.add("cut_by_border")
        return Instance(region.mask, region.origin, REST_SCORE, frozenset(flags))
