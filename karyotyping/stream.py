"""The segmentation stream: contours are routed, clusters are split, every instance gets a score and flags.

The stream of KaryoXpert (Chen et al. 2024, section 3.3.2, Fig. 3) with one router network in place of its three
classifiers and geometric splitting in place of its two segmenters. Without a router geometry alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.cell import ChromosomeFlag
from karyotyping.contours import Contour, ContourParameters, Contours, separate
from karyotyping.normalise import Mask, Normalised
from karyotyping.rejoining import RejoinParameters, rejoin
from karyotyping.routing import NOISE, SINGLE, Regions, route
from karyotyping.splitting import SplitParameters, split
from models.engine import Engine


@dataclass(frozen=True, slots=True)
class StreamParameters:
    """Everything that segmentation can be told. Probabilities, unless they say otherwise."""

    contours: ContourParameters = field(default_factory=ContourParameters)
    splitting: SplitParameters = field(default_factory=SplitParameters)
    rejoining: RejoinParameters = field(default_factory=RejoinParameters)
    noise: float = 0.9
    """A contour that the router takes for noise with at least this probability is debris."""
    single: float = 0.6
    """A contour that the router takes for one chromosome with at least this probability is not split."""
    geometry_weight: float = 0.5
    """Exponent of the splitter's probability in an instance's score; the router's has the rest."""
    growth: float = 0.18
    """How far instances are grown beyond the half-bright outline, chromosome widths: a blurred rim is theirs too."""
    rim: float = 0.2
    """Least stain that they grow into."""
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

    def placed(self, shape: tuple[int, int]) -> Mask:
        """The mask in an image of this shape (H, W)."""
        result = np.zeros(shape, bool)
        x, y = self.origin
        h, w = self.mask.shape
        x0, y0, x1, y1 = max(0, x), max(0, y), min(shape[1], x + w), min(shape[0], y + h)
        result[y0:y1, x0:x1] = self.mask[y0 - y : y1 - y, x0 - x : x1 - x]
        return result


@dataclass(frozen=True, slots=True)
class Segmentation:
    """What was found in one image."""

    instances: tuple[Instance, ...]
    """Contour by contour, from the upper left to the lower right."""
    nuclei: int
    debris: int
    clusters: int
    """Contours that held more than one chromosome."""
    overlaps: int
    """Pairs of instances that share pixels."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a contour, in the contour's frame."""

    region: Contour
    score: float
    contour: int


def segment(normalised: Normalised, router: Engine | None, parameters: StreamParameters) -> Segmentation:
    """Find the chromosomes of a normalised photograph."""
    return segment_batch([normalised], router, parameters)[0]


def segment_batch(
    images: Sequence[Normalised], router: Engine | None, parameters: StreamParameters
) -> list[Segmentation]:
    """Find the chromosomes of several photographs, whose regions share the batches of the router."""
    found = [_contours(image, parameters) for image in images]
    routes = _routes(router, images, found, [one.regions for one in found])
    sorted_out = [_without_noise(one.regions, said, parameters) for one, said in zip(found, routes, strict=True)]
    pieces = [
        _pieces(regions, image, one.typical_area, parameters)
        for image, one, regions in zip(images, found, sorted_out, strict=True)
    ]
    routes = _routes(router, images, found, [[piece.region for piece in group] for group in pieces])
    return [
        _segmentation(image, one, regions, _rescored(group, said, parameters), parameters)
        for image, one, regions, group, said in zip(images, found, sorted_out, pieces, routes, strict=True)
    ]


def _contours(image: Normalised, parameters: StreamParameters) -> Contours:
    found = separate(image, parameters.contours)
    return rejoin(found, image, parameters.contours, parameters.splitting, parameters.rejoining)


def _routes(
    router: Engine | None, images: Sequence[Normalised], found: Sequence[Contours], regions: Sequence[Sequence[Contour]]
) -> Sequence[NDArray[np.float32] | None]:
    """What the router says of the regions of each image; None without one."""
    if router is None:
        return [None] * len(images)
    scenes = zip(images, found, regions, strict=True)
    return route(router, [Regions(each, image.stain, image.width, one.typical_area) for image, one, each in scenes])


def _without_noise(
    regions: Sequence[Contour], routes: NDArray[np.float32] | None, parameters: StreamParameters
) -> list[tuple[Contour, float]]:
    """The contours that are not noise, with their probability of being a single one."""
    if routes is None:
        return [(region, 0.0) for region in regions]
    return [
        (region, float(p[SINGLE])) for region, p in zip(regions, routes, strict=True) if p[NOISE] < parameters.noise
    ]


def _pieces(
    regions: Sequence[tuple[Contour, float]], image: Normalised, typical_area: float, parameters: StreamParameters
) -> list[_Piece]:
    """The regions of one image, those that are no single chromosome split."""
    pieces: list[_Piece] = []
    for index, (region, single) in enumerate(regions):
        if single >= parameters.single:
            pieces.append(_Piece(region, single, index))
            continue
        stain = region.crop(image.stain)
        parts = split(region.mask, stain, image.width, typical_area, parameters.splitting)
        pieces += [_Piece(Contour(part.mask, region.origin), part.score, index) for part in parts]
    return pieces


def _rescored(pieces: list[_Piece], routes: NDArray[np.float32] | None, parameters: StreamParameters) -> list[_Piece]:
    """The pieces with the router's opinion in their scores: the weighted geometric mean of both probabilities."""
    if routes is None:
        return pieces
    weight = parameters.geometry_weight
    return [
        _Piece(piece.region, piece.score**weight * float(p[SINGLE]) ** (1.0 - weight), piece.contour)
        for piece, p in zip(pieces, routes, strict=True)
    ]


def _segmentation(
    image: Normalised,
    found: Contours,
    regions: Sequence[tuple[Contour, float]],
    pieces: Sequence[_Piece],
    parameters: StreamParameters,
) -> Segmentation:
    kept = [piece for piece in pieces if piece.score >= parameters.least_score]
    instances: list[Instance] = []
    clusters = 0
    for index in range(len(regions)):
        group = [piece for piece in kept if piece.contour == index]
        clusters += len(group) > 1
        instances += _finished(group, image, parameters)
    dropped = len(found.regions) - len(regions) + len(pieces) - len(kept)
    return Segmentation(tuple(instances), found.nuclei, found.debris + dropped, clusters, overlaps=0)


def _finished(group: list[_Piece], normalised: Normalised, parameters: StreamParameters) -> list[Instance]:
    """The instances of one contour, grown and flagged."""
    if not group:
        return []
    shape, margin = normalised.stain.shape, parameters.growth * normalised.width
    pad = int(np.ceil(margin)) + 1
    x, y = group[0].region.origin
    frame = Contour(np.pad(group[0].region.mask, pad), (x - pad, y - pad))
    rim = frame.crop(normalised.stain) > parameters.rim
    masks = grow([np.pad(piece.region.mask, pad) for piece in group], rim, margin)
    result = []
    for piece, mask in zip(group, masks, strict=True):
        top, left, cropped = _trimmed(mask)
        instance = Contour(cropped, (x - pad + left, y - pad + top))
        flags: set[ChromosomeFlag] = set()
        if len(group) > 1:
            flags.add("touching")
        if instance.touches_border((shape[0], shape[1])):
            flags.add("cut_by_border")
        if piece.score < parameters.uncertain:
            flags.add("uncertain")
        result.append(Instance(cropped, instance.origin, piece.score, frozenset(flags)))
    return result


def grow(masks: Sequence[Mask], into: Mask, margin: float) -> list[Mask]:
    """Masks (h, w) of one frame grown by ``margin`` pixels ``into`` a region, up to halfway to their neighbours."""
    distances: NDArray[np.float32] = np.stack(
        [cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) for mask in masks]
    )
    nearest = distances.argmin(axis=0)
    return [mask | (into & (distances[k] <= margin) & (nearest == k)) for k, mask in enumerate(masks)]


def _trimmed(mask: Mask) -> tuple[int, int, Mask]:
    """Row, column and content of the smallest window of a mask with a margin of one pixel."""
    x, y, w, h = cv2.boundingRect(np.pad(mask, 1).astype(np.uint8))
    return y - 2, x - 2, np.pad(mask, 2)[y : y + h + 2, x : x + w + 2]
