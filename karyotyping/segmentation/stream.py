"""The segmentation stream: contours are routed, chromosomes are told apart, every one gets a score and flags.

The stream of KaryoXpert (Chen et al. 2024, section 3.3.2, Fig. 3) with one router network in place of its three
classifiers and one segmenter network, whose masks may overlap, in place of its two. Without a segmenter clusters are
split by geometry; without a router as well geometry alone decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from karyotyping.image.normalise import Normalised, chromosome_width
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import Contour, ContourParameters, Contours, find_contours
from karyotyping.segmentation.geometric import Piece, combine_scores, grow_pieces, split_regions
from karyotyping.segmentation.merging import merge_fragments
from karyotyping.segmentation.prominence import surround_brightness
from karyotyping.segmentation.proposals import propose, region_in_image, tile_image
from karyotyping.segmentation.result import ScoredRegion, Segmentation, StreamParameters, build_segmentation
from karyotyping.segmentation.router import NOISE, SINGLE, Regions, route
from karyotyping.segmentation.selection import select
from karyotyping.segmentation.sister_chromatids import CHROMOSOME_WIDTH_RATIO, sister_share
from models.engine import Engine

_CLEAR, _FEWEST = 0.7, 5
"""Least score of the instances that tell how wide chromosomes are, and how many there must be."""
_SURE = 1e-3
"""No instance is believed, or doubted, more than by this."""


@dataclass(frozen=True, slots=True)
class Networks:
    """What the stream asks; either may be missing."""

    router: Engine | None = None
    segmenter: Engine | None = None


def segment(image: Normalised, networks: Networks, parameters: StreamParameters) -> Segmentation:
    """Find the chromosomes of a normalised photograph."""
    return segment_batch([image], networks, parameters)[0]


def segment_batch(images: Sequence[Normalised], networks: Networks, parameters: StreamParameters) -> list[Segmentation]:
    """Find the chromosomes of several photographs, which share the batches of the networks.

    The segmenter knows chromosomes of about one width. What it finds tells how wide they are better than the foreground
    did, in which nuclei and clusters lie too: where that was out, the photograph is looked at again, and what there is
    more evidence for is believed. So it is where many instances are chromatids that stand apart.
    """
    found = _segment_batch(images, networks, parameters)
    if networks.segmenter is None:
        return found
    scales = [_scale(image, one, parameters) for image, one in zip(images, found, strict=True)]
    again = [k for k, (image, scale) in enumerate(zip(images, scales, strict=True)) if scale != image.scale]
    looked_again = [replace(images[k], scale=scales[k]) for k in again]
    for k, one in zip(again, _segment_batch(looked_again, networks, parameters), strict=True):
        found[k] = _better(found[k], one, parameters)
    return found


def _scale(image: Normalised, found: Segmentation, parameters: StreamParameters) -> float:
    """The scale of a photograph by the chromosomes that were found in it, or its own if that is near enough."""
    clear = _clear(found)
    if len(clear) < _FEWEST:
        return image.scale
    if _parted(found, parameters):
        return image.scale * CHROMOSOME_WIDTH_RATIO
    off = chromosome_width(*(region.mask for region in clear)) / (parameters.width * image.width)
    return image.scale if 1 / parameters.wider < off < parameters.wider else image.scale * float(np.clip(off, 0.5, 2.0))


def _parted(found: Segmentation, parameters: StreamParameters) -> bool:
    """Whether so many instances lie beside a twin, and there are so many, that they must be chromatids."""
    return len(found.instances) > NORMAL_COUNT and sister_share(_clear(found)) > parameters.twins


def _clear(found: Segmentation) -> list[Contour]:
    """The instances that tell how wide chromosomes are."""
    return [item.region() for item in found.instances if item.score >= _CLEAR]


def _better(first: Segmentation, second: Segmentation, parameters: StreamParameters) -> Segmentation:
    """Of two looks at a photograph the one with fewer twins, if one sees chromatids, or else with more evidence."""
    if any(_parted(found, parameters) for found in (first, second)):
        return min(first, second, key=lambda found: sister_share(_clear(found)))
    return max(first, second, key=_evidence)


def _evidence(found: Segmentation) -> float:
    """How much speaks for all that was found: log odds."""
    score = np.clip([item.score for item in found.instances], _SURE, 1 - _SURE)
    return float(np.log(score / (1 - score)).sum())


def _segment_batch(
    images: Sequence[Normalised], networks: Networks, parameters: StreamParameters
) -> list[Segmentation]:
    """Find the chromosomes at the scales of the photographs."""
    if not images:
        return []
    contours = parameters.contours if networks.segmenter is None else parameters.looked_at
    found = [_contours(image, contours, parameters) for image in images]
    routes = _routes(networks.router, images, found, [one.regions for one in found])
    noise = parameters.noise if networks.segmenter is None else parameters.surely_noise
    regions = [_without_noise(one.regions, said, noise) for one, said in zip(found, routes, strict=True)]
    if networks.segmenter is None:
        told = _split(images, found, regions, networks.router, parameters)
    else:
        told = _segmented(images, regions, networks.segmenter, parameters)
    result = []
    for image, one, kept, proposed in zip(images, found, regions, told, strict=True):
        around = surround_brightness([item.region for item in proposed], image.stain, image.width)
        believed = [
            item
            for item, bright in zip(proposed, around, strict=True)
            if item.score >= parameters.least_score and bright < parameters.surrounded
        ]
        dropped = len(one.regions) - len(kept) + len(proposed) - len(believed)
        shape = (image.stain.shape[0], image.stain.shape[1])
        result.append(build_segmentation(believed, shape, parameters, one.nucleus_count, one.debris_count + dropped))
    return result


def _contours(image: Normalised, contours: ContourParameters, parameters: StreamParameters) -> Contours:
    found = find_contours(image, contours)
    return merge_fragments(found, image, contours, parameters.splitting, parameters.rejoining)


def _routes(
    router: Engine | None, images: Sequence[Normalised], found: Sequence[Contours], regions: Sequence[Sequence[Contour]]
) -> Sequence[NDArray[np.float32] | None]:
    """What the router says of the regions of each image; None without one."""
    if router is None:
        return [None] * len(images)
    scenes = zip(images, found, regions, strict=True)
    return route(router, [Regions(each, image.stain, image.width, one.typical_area) for image, one, each in scenes])


def _without_noise(
    regions: Sequence[Contour], routes: NDArray[np.float32] | None, noise: float
) -> list[tuple[Contour, float]]:
    """The contours that are not noise, with their probability of being a single one."""
    if routes is None:
        return [(region, 0.0) for region in regions]
    return [(region, float(p[SINGLE])) for region, p in zip(regions, routes, strict=True) if p[NOISE] < noise]


def _split(
    images: Sequence[Normalised],
    found: Sequence[Contours],
    regions: Sequence[Sequence[tuple[Contour, float]]],
    router: Engine | None,
    parameters: StreamParameters,
) -> list[list[ScoredRegion]]:
    """Chromosomes by geometry."""
    pieces = [
        split_regions(each, image, one.typical_area, parameters)
        for image, one, each in zip(images, found, regions, strict=True)
    ]
    routes = _routes(router, images, found, [[piece.region for piece in group] for group in pieces])
    weighed = [combine_scores(group, said, parameters) for group, said in zip(pieces, routes, strict=True)]
    return [grow_pieces(group, image, parameters) for group, image in zip(weighed, images, strict=True)]


def _segmented(
    images: Sequence[Normalised],
    regions: Sequence[Sequence[tuple[Contour, float]]],
    segmenter: Engine,
    parameters: StreamParameters,
) -> list[list[ScoredRegion]]:
    """Chromosomes by the segmenter, but for contours that the router is sure of."""
    sure = [
        [Piece(region, single, k) for k, (region, single) in enumerate(each) if single >= parameters.sure]
        for each in regions
    ]
    unsure = [[region for region, single in each if single < parameters.sure] for each in regions]
    views = [tile_image(image, each) for image, each in zip(images, unsure, strict=True)]
    told = [grow_pieces(each, image, parameters) for each, image in zip(sure, images, strict=True)]
    for kept, seen, proposed in zip(told, views, propose(views, segmenter, parameters.decoding), strict=True):
        for item in select(proposed.candidates, proposed.depth, parameters.selection, len(kept)):
            kept.append(ScoredRegion(region_in_image(item, seen.zoom, parameters.decoding.level), item.score))
    return told
