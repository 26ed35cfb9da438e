"""Parameters and result of the segmentation of a metaphase image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from karyotyping.arrays import Mask
from karyotyping.model import ChromosomeFlag
from karyotyping.segmentation.agreement import AgreementParameters
from karyotyping.segmentation.contours import Contour, ContourParameters, overlapping_pairs
from karyotyping.segmentation.instance_decoding import DecodeParameters
from karyotyping.segmentation.merging import MergeParameters
from karyotyping.segmentation.outlines import OutlineParameters
from karyotyping.segmentation.recognition import RecognitionWeights
from karyotyping.segmentation.rests import Rest
from karyotyping.segmentation.selection import SelectionParameters
from karyotyping.segmentation.splitting import SplitParameters

_MIN_OVERLAP_SHARE = 0.04  # share of a chromosome's area, 0..1; less is the blur of outlines
_TOUCH_KERNEL = np.ones((3, 3), np.uint8)  # regions touch if they overlap after this dilation


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """All parameters of segmentation; thresholds without a unit are probabilities, 0..1."""

    contours: ContourParameters = field(default_factory=ContourParameters)
    """Contours without a segmenter."""
    looked_at: ContourParameters = field(
        default_factory=lambda: ContourParameters(
            nuclei=((0.6, 3.0), (0.4, 4.0)), keep_nuclei=True, debris_area=0.08, min_strength=0.2
        )
    )
    """Contours for the segmenter.

    They keep debris and nuclei, which the segmenter recognises better: a dense round metaphase resembles a nucleus.
    """
    splitting: SplitParameters = field(default_factory=SplitParameters)
    rejoining: MergeParameters = field(default_factory=MergeParameters)
    noise: float = 0.9
    """Least probability of noise of a debris contour, without a segmenter."""
    single: float = 0.6
    """Least probability of one chromosome of a contour that is not split."""
    sure: float = 0.97
    """Least probability of one chromosome of a contour that the segmenter does not process."""
    surely_noise: float = 0.98
    """Least probability of noise of a debris contour, with a segmenter, which recognises most noise itself."""
    geometry_weight: float = 0.5
    """Exponent of geometry's probability in a score, 0..1; the router's has the rest."""
    growth: float = 0.18
    """Growth of instances beyond the half-bright outline into the blurred rim, chromosome widths."""
    rim: float = 0.2
    """Least stain of the pixels that instances grow into."""
    decoding: DecodeParameters = field(default_factory=DecodeParameters)
    """How the segmenter's maps are decoded."""
    agreement: AgreementParameters = field(default_factory=AgreementParameters)
    """Which orientations of a tile are decoded, and how they become one."""
    selection: SelectionParameters = field(default_factory=SelectionParameters)
    """How candidates are selected."""
    recognition: RecognitionWeights = field(default_factory=RecognitionWeights)
    """How the classifier rescores candidates."""
    recognised: SelectionParameters = field(default_factory=lambda: SelectionParameters(explained=4.0, prior=-1.25))
    """How rescored candidates are selected."""
    outlines: OutlineParameters = field(default_factory=OutlineParameters)
    """How the outlines of the segmenter's instances follow the stain."""
    width: float = 1.14
    """Width of instances over the estimated chromosome width, if the estimate is right."""
    wider: float = 1.2
    """Largest factor of error of the estimate; beyond it the image is segmented again at the corrected scale."""
    twins: float = 0.23
    """Largest share of instances with a twin, 0..1.

    Above it, and above the normal count, the instances are separate sister chromatids.
    """
    surrounded: float = 0.45
    """Brightness of the surroundings, relative to the instance, from which on it is part of a nucleus: debris."""
    in_nucleus: float = 0.5
    """Share of an instance within nuclei far brighter than chromosomes, 0..1, from which on it is part of one."""
    least_score: float = 0.05
    """Instances below this score are debris."""
    uncertain: float = 0.5
    """Instances below this score are flagged."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One detected chromosome."""

    mask: Mask
    """(h, w) crop with a margin of background."""
    origin: tuple[int, int]
    """x, y of the crop's upper left corner in the image; negative where the margin crosses the border."""
    score: float
    """Probability that it is exactly one whole chromosome, 0..1."""
    flags: frozenset[ChromosomeFlag] = frozenset()

    def region(self) -> Contour:
        """Return the instance as a contour."""
        return Contour(self.mask, self.origin)

    def full_mask(self, shape: tuple[int, int]) -> Mask:
        """Return the (H, W) mask of an image of this shape."""
        return self.region().full_mask(shape)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Chromosomes of one image, and counts of everything else."""

    instances: tuple[Instance, ...]
    """From the upper left to the lower right."""
    nucleus_count: int
    debris_count: int
    cluster_count: int
    """Groups of chromosomes that touch or overlap."""
    overlap_count: int
    """Pairs of instances that share pixels."""
    rests: tuple[Rest, ...] = ()
    """What the instances leave of the contours."""


@dataclass(frozen=True, slots=True)
class ScoredRegion:
    """A region, and the probability that it is one whole chromosome."""

    region: Contour
    score: float
    lone: bool = False
    """Whether it was not selected but explains an isolated contour; it is flagged uncertain."""


def build_segmentation(
    detections: Sequence[ScoredRegion],
    shape: tuple[int, int],
    parameters: StreamParameters,
    nucleus_count: int,
    debris_count: int,
) -> Segmentation:
    """Clip, flag and sort the detections of an image, and count their groups and overlaps.

    Args:
        detections: regions and scores.
        shape: H, W of the image.
        parameters: threshold of uncertain detections.
        nucleus_count: nuclei of the image.
        debris_count: discarded regions of the image.
    """
    regions = [item.region.clipped(shape) for item in detections]
    flags: list[set[ChromosomeFlag]] = [set() for _ in detections]
    grown = [Contour(cv2.dilate(r.mask.astype(np.uint8), _TOUCH_KERNEL) > 0, r.origin) for r in regions]
    groups, overlap_areas, overlap_count = DisjointSet(range(len(detections))), np.zeros(len(detections), int), 0
    for a, b in overlapping_pairs(grown):
        if not grown[a].overlap_area(grown[b]):
            continue
        groups.merge(a, b)
        flags[a].add("touching")
        flags[b].add("touching")
        pixels = regions[a].overlap_area(regions[b])
        overlap_areas[[a, b]] += pixels
        overlap_count += int(pixels >= _MIN_OVERLAP_SHARE * min(regions[a].area, regions[b].area))
    for item, region, pixels, own_flags in zip(detections, regions, overlap_areas, flags, strict=True):
        if pixels >= _MIN_OVERLAP_SHARE * region.area:
            own_flags.add("overlapped")
        if region.touches_border(shape):
            own_flags.add("cut_by_border")
        if item.lone or item.score < parameters.uncertain:
            own_flags.add("uncertain")
    instances = [
        Instance(region.mask, region.origin, item.score, frozenset(own_flags))
        for item, region, own_flags in zip(detections, regions, flags, strict=True)
    ]
    return Segmentation(
        tuple(sorted(instances, key=lambda instance: instance.origin[::-1])),
        nucleus_count,
        debris_count,
        cluster_count=sum(len(group) > 1 for group in groups.subsets()),
        overlap_count=overlap_count,
    )
