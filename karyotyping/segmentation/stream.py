"""The segmentation stream: find and route contours, detect chromosomes, score and flag.

The stream of KaryoXpert (Chen et al. 2024, section 3.3.2, Fig. 3) with one router network for its three classifiers,
and one segmenter network, whose masks may overlap, for its two. Without a segmenter, geometry splits clusters; without
a router, geometry alone decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from karyotyping.arrays import Floats32
from karyotyping.image.normalise import CANONICAL_WIDTH, Normalised
from karyotyping.image.structures import chromosome_width
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.segmentation.contours import Contour, Contours, bright_nuclei, find_contours
from karyotyping.segmentation.geometric import Piece, combine_scores, grow_pieces, split_regions
from karyotyping.segmentation.instance_decoding import Candidate
from karyotyping.segmentation.merging import merge_fragments
from karyotyping.segmentation.outlines import refine_outlines
from karyotyping.segmentation.prominence import surround_brightness
from karyotyping.segmentation.proposals import Proposals, locate, propose, region_in_image, tile_image
from karyotyping.segmentation.recognition import Evidence, Recognise, Recognised
from karyotyping.segmentation.rests import find_rests, is_noise, lone_candidates
from karyotyping.segmentation.result import ScoredRegion, Segmentation, StreamParameters, build_segmentation
from karyotyping.segmentation.router import NOISE, SINGLE, Regions, route
from karyotyping.segmentation.selection import Footprints, select
from karyotyping.segmentation.sister_chromatids import CHROMOSOME_WIDTH_RATIO, sister_share
from karyotyping.segmentation.tile_borders import complete_masks
from models.engine import Engine

_MIN_SCALE_SCORE = 0.7  # score of the instances that the scale is measured on, 0..1
_MIN_SCALE_COUNT = 5  # instances
_MAX_SCALE_CHANGE = 2.0
_MAX_INSTANCES = 100  # of a tetraploid cell; more are grain, and chromosomes are wider than the estimate
_MAX_RECOGNISED = 500  # candidates of one image; more are grain
_LARGER_SCALES = 1.4, 2.0, 2.8  # factors of the estimate that are tried then
_MIN_SCORE = 1e-3  # scores are clipped to [1e-3, 1 - 1e-3] before log odds

_Regions = Sequence[tuple[Contour, float]]  # contours and their probabilities of being one chromosome


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of the stream; each is optional."""

    router: Engine | None = None
    segmenter: Engine | None = None
    recognise: Recognise | None = None
    """The classifier, as evidence for the candidates of the segmenter."""


def segment(image: Normalised, networks: Networks, parameters: StreamParameters) -> Segmentation:
    """Detect the chromosomes of a normalised image."""
    return segment_batch([image], networks, parameters)[0]


def segment_batch(images: Sequence[Normalised], networks: Networks, parameters: StreamParameters) -> list[Segmentation]:
    """Detect the chromosomes of several normalised images, which share the networks' batches.

    The segmenter expects one chromosome width. The estimate from the foreground includes nuclei and clusters, so the
    instances give a better one. If both differ, or if instances are separate chromatids, the image is segmented again
    at the corrected scale, and the better result is kept.
    """
    if networks.segmenter is None:
        return _segment_at_scale(images, networks, parameters)
    images, results = _segment_one_cell(images, networks, parameters)
    scales = [_corrected_scale(image, result, parameters) for image, result in zip(images, results, strict=True)]
    repeated = [
        k
        for k, (image, scale) in enumerate(zip(images, scales, strict=True))
        if scale != image.scale and len(results[k].instances) <= _MAX_INSTANCES
    ]
    rescaled = [replace(images[k], scale=scales[k]) for k in repeated]
    for k, second in zip(repeated, _segment_at_scale(rescaled, networks, parameters), strict=True):
        results[k] = _better(results[k], second, parameters)
    return [_follow_stain(*pair, parameters) for pair in zip(images, results, strict=True)]


def _follow_stain(image: Normalised, result: Segmentation, parameters: StreamParameters) -> Segmentation:
    """Return the result with outlines of the stain; flags and counts are those of the masks."""
    if not result.instances:
        return result
    regions = [item.region() for item in result.instances]
    measured = chromosome_width(*(region.mask for region in regions))
    width = measured / parameters.width if measured else image.width
    refined = refine_outlines(image.stain, regions, width, parameters.outlines)
    instances = (
        replace(item, mask=region.mask, origin=region.origin)
        for item, region in zip(result.instances, refined, strict=True)
    )
    return replace(result, instances=tuple(instances))


def _segment_one_cell(
    images: Sequence[Normalised], networks: Networks, parameters: StreamParameters
) -> tuple[list[Normalised], list[Segmentation]]:
    """Segment images, and those with too many instances for one cell again at larger scales.

    Returns:
        The images with the scales of the results, and the results.
    """
    scaled, results = list(images), _segment_at_scale(images, networks, parameters)
    for k, (image, result) in enumerate(zip(images, results, strict=True)):
        if len(result.instances) > _MAX_INSTANCES:
            rungs = [replace(image, scale=image.scale * factor) for factor in _LARGER_SCALES]
            others = zip(rungs, _segment_at_scale(rungs, networks, parameters), strict=True)
            plausible = [other for other in others if 0 < len(other[1].instances) <= _MAX_INSTANCES]
            scaled[k], results[k] = max(plausible, key=lambda other: _mean_log_odds(other[1]), default=(image, result))
    return scaled, results


def _mean_log_odds(result: Segmentation) -> float:
    return _total_log_odds(result) / len(result.instances)


def _corrected_scale(image: Normalised, result: Segmentation, parameters: StreamParameters) -> float:
    """Return the scale measured on the instances, or the image's own if that is accurate."""
    regions = _scale_regions(result)
    if len(regions) < _MIN_SCALE_COUNT:
        return image.scale
    if _shows_chromatids(result, parameters):
        return image.scale * CHROMOSOME_WIDTH_RATIO
    width = chromosome_width(*(region.mask for region in regions)) or CANONICAL_WIDTH
    ratio = width / (parameters.width * image.width)
    if 1 / parameters.wider < ratio < parameters.wider:
        return image.scale
    return image.scale * float(np.clip(ratio, 1 / _MAX_SCALE_CHANGE, _MAX_SCALE_CHANGE))


def _shows_chromatids(result: Segmentation, parameters: StreamParameters) -> bool:
    """Return whether instances are chromatids: more than the normal count, many with a twin."""
    return len(result.instances) > NORMAL_COUNT and sister_share(_scale_regions(result)) > parameters.twins


def _scale_regions(result: Segmentation) -> list[Contour]:
    """Return the instances that the scale is measured on."""
    return [item.region() for item in result.instances if item.score >= _MIN_SCALE_SCORE]


def _better(first: Segmentation, second: Segmentation, parameters: StreamParameters) -> Segmentation:
    """Return the result with fewer twins if either shows chromatids, else of higher log odds."""
    if any(_shows_chromatids(result, parameters) for result in (first, second)):
        return min(first, second, key=lambda result: sister_share(_scale_regions(result)))
    return max(first, second, key=_total_log_odds)


def _total_log_odds(result: Segmentation) -> float:
    """Return the summed log odds of all instances."""
    score = np.clip([item.score for item in result.instances], _MIN_SCORE, 1 - _MIN_SCORE)
    return float(np.log(score / (1 - score)).sum())


def _segment_at_scale(
    images: Sequence[Normalised], networks: Networks, parameters: StreamParameters
) -> list[Segmentation]:
    """Detect the chromosomes of images at their current scales."""
    if not images:
        return []
    with_segmenter = networks.segmenter is not None
    contour_parameters = parameters.looked_at if with_segmenter else parameters.contours
    contours = [find_contours(image, contour_parameters) for image in images]
    if not with_segmenter:
        contours = [
            merge_fragments(each, image, contour_parameters, parameters.splitting, parameters.rejoining)
            for each, image in zip(contours, images, strict=True)
        ]
    routes = _route(networks.router, images, contours, [each.regions for each in contours])
    noise = parameters.surely_noise if with_segmenter else parameters.noise
    regions = [_without_noise(each.regions, p, noise) for each, p in zip(contours, routes, strict=True)]
    if networks.segmenter is None:
        detections = _detect_by_geometry(images, contours, regions, networks.router, parameters)
    else:
        detections = _detect_by_segmenter(images, regions, networks, parameters)
    result = []
    for image, each, p, routed, detected in zip(images, contours, routes, regions, detections, strict=True):
        nuclei = bright_nuclei(image.stain, image.width)
        brightness = surround_brightness([item.region for item in detected], image.stain, image.width)
        kept = [
            item
            for item, bright in zip(detected, brightness, strict=True)
            if item.score >= parameters.least_score
            and bright < parameters.surrounded
            and item.region.share_in(nuclei) < parameters.in_nucleus
        ]
        dropped = len(each.regions) - len(routed) + len(detected) - len(kept)
        shape = (image.stain.shape[0], image.stain.shape[1])
        built = build_segmentation(kept, shape, parameters, each.nucleus_count, each.debris_count + dropped)
        found = [item.region() for item in built.instances]
        surely_noise = is_noise(p, len(each.regions), parameters.surely_noise)
        rests = find_rests(image, each, surely_noise, found, parameters.contours)
        result.append(replace(built, rests=rests))
    return result


def _route(
    router: Engine | None,
    images: Sequence[Normalised],
    contours: Sequence[Contours],
    regions: Sequence[Sequence[Contour]],
) -> Sequence[Floats32 | None]:
    """Return the router's probabilities for each image's regions; None without a router."""
    if router is None:
        return [None] * len(images)
    inputs = zip(images, contours, regions, strict=True)
    return route(router, [Regions(own, image.stain, image.width, each.typical_area) for image, each, own in inputs])


def _without_noise(regions: Sequence[Contour], routes: Floats32 | None, max_noise: float) -> _Regions:
    """Return contours below ``max_noise``, with their probabilities of one chromosome."""
    if routes is None:
        return [(region, 0.0) for region in regions]
    return [(region, float(p[SINGLE])) for region, p in zip(regions, routes, strict=True) if p[NOISE] < max_noise]


def _detect_by_geometry(
    images: Sequence[Normalised],
    contours: Sequence[Contours],
    regions: Sequence[_Regions],
    router: Engine | None,
    parameters: StreamParameters,
) -> list[list[ScoredRegion]]:
    """Split the regions of each image by geometry."""
    pieces = [
        split_regions(own, image, each.typical_area, parameters)
        for image, each, own in zip(images, contours, regions, strict=True)
    ]
    routes = _route(router, images, contours, [[piece.region for piece in group] for group in pieces])
    combined = [combine_scores(group, p, parameters) for group, p in zip(pieces, routes, strict=True)]
    return [grow_pieces(group, image, parameters) for group, image in zip(combined, images, strict=True)]


def _detect_by_segmenter(
    images: Sequence[Normalised], regions: Sequence[_Regions], networks: Networks, parameters: StreamParameters
) -> list[list[ScoredRegion]]:
    """Run the segmenter on the regions that are not surely single chromosomes."""
    assert networks.segmenter is not None, "geometry replaces it"
    singles = [
        [Piece(region, single, k) for k, (region, single) in enumerate(own) if single >= parameters.sure]
        for own in regions
    ]
    others = [[region for region, single in own if single < parameters.sure] for own in regions]
    tiled = [tile_image(image, own) for image, own in zip(images, others, strict=True)]
    detections = [grow_pieces(own, image, parameters) for own, image in zip(singles, images, strict=True)]
    proposals = propose(tiled, networks.segmenter, parameters.decoding, parameters.agreement)
    for image, own, detected, tiles, proposed in zip(images, others, detections, tiled, proposals, strict=True):
        shape = (image.stain.shape[0], image.stain.shape[1])
        visible, in_image = locate(proposed, tiles.zoom, parameters.decoding.level, shape)
        scored = visible.candidates
        footprints = Footprints.of(scored, visible.depth.shape)
        chosen = select(scored, visible.depth, parameters.selection, len(detected), footprints)
        if networks.recognise is not None and chosen and len(scored) <= _MAX_RECOGNISED:
            single = [item.region for item in detected]
            recognise = partial(networks.recognise, image)
            scored, chosen = _select_recognised(
                *(visible, chosen, footprints, recognise), singles=single, in_image=in_image, parameters=parameters
            )
        level = parameters.decoding.level
        completed = complete_masks(tiles, chosen, networks.segmenter, parameters.decoding)
        for before, after, region in zip(chosen, completed, in_image(chosen), strict=True):
            whole = region if after is before else region_in_image(after, tiles.zoom, level).clipped(shape)
            detected.append(ScoredRegion(whole, after.score))
        selected = [item.region for item in detected]
        lone = lone_candidates(image, own, selected, scored, in_image=in_image, parameters=parameters.contours)
        detected += [ScoredRegion(region, score, lone=True) for region, score in lone]
    return detections


def _select_recognised(
    proposed: Proposals,
    chosen: Sequence[Candidate],
    footprints: Footprints,
    recognise: Callable[[Sequence[Contour], Sequence[int]], Recognised],
    *,
    singles: Sequence[Contour],
    in_image: Callable[[Sequence[Candidate]], list[Contour]],
    parameters: StreamParameters,
) -> tuple[list[Candidate], list[Candidate]]:
    """Select by the classifier's evidence, first without, then with copy numbers.

    Returns:
        All candidates with their last scores, and the selected ones.
    """

    def recognise_candidates(indices: Sequence[int], members: Sequence[int]) -> Recognised:
        regions = [*in_image([proposed.candidates[k] for k in indices]), *singles]
        return recognise(regions, [*members, *range(len(indices), len(regions))])

    evidence = Evidence(proposed, chosen, recognise_candidates, parameters.recognition, footprints.shared)
    informed = select(evidence.rescore(), proposed.depth, parameters.recognised, len(singles), footprints)
    scored = evidence.rescore(informed)
    return scored, select(scored, proposed.depth, parameters.recognised, len(singles), footprints)
