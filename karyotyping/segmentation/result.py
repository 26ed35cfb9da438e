"""What segmentation finds in a photograph, whichever way it is found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from karyotyping.arrays import Mask
from karyotyping.model import ChromosomeFlag
from karyotyping.segmentation.contours import Contour, ContourParameters, overlapping_pairs
from karyotyping.segmentation.instance_decoding import DecodeParameters
from karyotyping.segmentation.merging import MergeParameters
from karyotyping.segmentation.selection import SelectionParameters
from karyotyping.segmentation.splitting import SplitParameters

_OVERLAPPED = 0.04
"""A chromosome that shares this much of its area with others is overlapped; less may be the softness of an outline."""
_TOUCHING = np.ones((3, 3), np.uint8)
"""By this outlines are grown: those that then share pixels touch."""


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """Everything that segmentation can be told. Probabilities, unless they say otherwise."""

    contours: ContourParameters = field(default_factory=ContourParameters)
    looked_at: ContourParameters = field(
        default_factory=lambda: ContourParameters(
            nuclei=((0.6, 3.0), (0.4, 4.0)), keep_nuclei=True, debris_area=0.08, min_strength=0.2
        )
    )
    """The contours that the segmenter looks at. It knows debris and nuclei itself, and better: a dense round spread is
    easily taken for a nucleus before."""
    splitting: SplitParameters = field(default_factory=SplitParameters)
    rejoining: MergeParameters = field(default_factory=MergeParameters)
    noise: float = 0.9
    """A contour that the router takes for noise with at least this probability is debris."""
    single: float = 0.6
    """A contour that the router takes for one chromosome with at least this probability is not split."""
    sure: float = 0.97
    """A contour that the router takes for one chromosome with at least this probability is one, and is not shown to the
    segmenter."""
    surely_noise: float = 0.98
    """Nor is one that it takes for noise with at least this probability: the segmenter knows most noise itself."""
    geometry_weight: float = 0.5
    """Exponent of the splitter's probability in an instance's score; the router's has the rest."""
    growth: float = 0.18
    """How far instances are grown beyond the half-bright outline, chromosome widths: a blurred rim is theirs too."""
    rim: float = 0.2
    """Least stain that they grow into."""
    decoding: DecodeParameters = field(default_factory=DecodeParameters)
    """How the segmenter's maps are read."""
    selection: SelectionParameters = field(default_factory=SelectionParameters)
    """Which of its candidates are believed."""
    width: float = 1.14
    """How wide instances are beside the chromosome width of the photograph, where that was estimated well."""
    wider: float = 1.2
    """Where they are wider, or thinner, by this factor, the photograph is segmented again at the scale they have."""
    twins: float = 0.23
    """Where more of the instances than this share lie beside a twin, and there are more than a cell has, they are
    chromatids that stand apart."""
    surrounded: float = 0.45
    """Instances whose free surroundings are this bright beside them lie in nuclei: debris."""
    least_score: float = 0.05
    """Instances below are debris."""
    uncertain: float = 0.5
    """Instances below are flagged."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One chromosome."""

    mask: Mask
    """(h, w), cropped, with a margin of background."""
    origin: tuple[int, int]
    """x, y of the crop's upper left corner in the image; may be negative, for the margin."""
    score: float
    """Probability that it is exactly one whole chromosome, 0..1."""
    flags: frozenset[ChromosomeFlag] = frozenset()

    def region(self) -> Contour:
        """The instance as a contour, to crop with."""
        return Contour(self.mask, self.origin)

    def full_mask(self, shape: tuple[int, int]) -> Mask:
        """The mask in an image of this shape (H, W)."""
        return self.region().full_mask(shape)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What was found in one image."""

    instances: tuple[Instance, ...]
    """From the upper left to the lower right."""
    nucleus_count: int
    debris_count: int
    cluster_count: int
    """Groups of chromosomes that touch or overlap."""
    overlap_count: int
    """Pairs of instances that share pixels."""


@dataclass(frozen=True, slots=True)
class ScoredRegion:
    """A region told to be one chromosome, and how probably it is."""

    region: Contour
    score: float


def build_segmentation(
    told: Sequence[ScoredRegion],
    shape: tuple[int, int],
    parameters: StreamParameters,
    nucleus_count: int,
    debris_count: int,
) -> Segmentation:
    """What was found in an image of this shape (H, W): the regions trimmed and flagged, their neighbours counted."""
    regions = [item.region.clipped(shape) for item in told]
    flags: list[set[ChromosomeFlag]] = [set() for _ in told]
    grown = [Contour(cv2.dilate(r.mask.astype(np.uint8), _TOUCHING) > 0, r.origin) for r in regions]
    groups, covered, overlaps = DisjointSet(range(len(told))), np.zeros(len(told), int), 0
    for a, b in overlapping_pairs(grown):
        if not grown[a].overlap_area(grown[b]):
            continue
        groups.merge(a, b)
        flags[a].add("touching")
        flags[b].add("touching")
        pixels = regions[a].overlap_area(regions[b])
        covered[[a, b]] += pixels
        overlaps += int(pixels >= _OVERLAPPED * min(regions[a].area, regions[b].area))
    for item, region, pixels, raised in zip(told, regions, covered, flags, strict=True):
        if pixels >= _OVERLAPPED * region.area:
            raised.add("overlapped")
        if region.touches_border(shape):
            raised.add("cut_by_border")
        if item.score < parameters.uncertain:
            raised.add("uncertain")
    instances = [
        Instance(region.mask, region.origin, item.score, frozenset(raised))
        for item, region, raised in zip(told, regions, flags, strict=True)
    ]
    return Segmentation(
        tuple(sorted(instances, key=lambda one: one.origin[::-1])),
        nucleus_count,
        debris_count,
        cluster_count=sum(len(group) > 1 for group in groups.subsets()),
        overlap_count=overlaps,
    )
