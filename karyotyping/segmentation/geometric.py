"""Segmentation by geometry: split clusters, combine scores with the router, grow masks.

The baseline to compare the segmenter network with, and its replacement where no segmenter is available.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from karyotyping.arrays import Floats32, Mask
from karyotyping.image.normalise import Normalised
from karyotyping.segmentation.contours import Contour
from karyotyping.segmentation.result import ScoredRegion, StreamParameters
from karyotyping.segmentation.router import SINGLE
from karyotyping.segmentation.splitting import split_region


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a contour, in the contour's frame."""

    region: Contour
    score: float
    """Probability that it is one whole chromosome, 0..1."""
    contour: int
    """Index of the contour in its image."""


def split_regions(
    regions: Sequence[tuple[Contour, float]], image: Normalised, typical_area: float, parameters: StreamParameters
) -> list[Piece]:
    """Split the regions of one image that are probably not single chromosomes.

    Args:
        regions: contours and their probabilities of being one chromosome.
        image: the normalised image.
        typical_area: median chromosome area, pixels.
        parameters: threshold of the probability, and how to split.
    """
    pieces: list[Piece] = []
    for index, (region, single) in enumerate(regions):
        if single >= parameters.single:
            pieces.append(Piece(region, single, index))
            continue
        stain = region.crop(image.stain)
        parts = split_region(region.mask, stain, image.width, typical_area, parameters.splitting)
        pieces += [Piece(Contour(part.mask, region.origin), part.score, index) for part in parts]
    return pieces


def combine_scores(pieces: Sequence[Piece], routes: Floats32 | None, parameters: StreamParameters) -> Sequence[Piece]:
    """Return the pieces with scores combined with the router's: the weighted geometric mean.

    Args:
        pieces: N pieces.
        routes: (N, 5) probabilities of the router; None keeps the scores.
        parameters: exponent of the pieces' own scores.
    """
    if routes is None:
        return pieces
    weight = parameters.geometry_weight
    return [
        Piece(piece.region, piece.score**weight * float(p[SINGLE]) ** (1.0 - weight), piece.contour)
        for piece, p in zip(pieces, routes, strict=True)
    ]


def grow_pieces(pieces: Sequence[Piece], image: Normalised, parameters: StreamParameters) -> list[ScoredRegion]:
    """Grow the pieces of one image into the blurred rims of their contours."""
    margin = parameters.growth * image.width
    pad = int(np.ceil(margin)) + 1
    regions = []
    for index in sorted({piece.contour for piece in pieces}):
        group = [piece for piece in pieces if piece.contour == index]
        x, y = group[0].region.origin
        frame = Contour(np.pad(group[0].region.mask, pad), (x - pad, y - pad))
        rim = frame.crop(image.stain) > parameters.rim
        masks = grow_masks([np.pad(piece.region.mask, pad) for piece in group], rim, margin)
        regions += [
            ScoredRegion(Contour(mask, frame.origin), piece.score) for piece, mask in zip(group, masks, strict=True)
        ]
    return regions


def grow_masks(masks: Sequence[Mask], into: Mask, margin: float) -> list[Mask]:
    """Grow masks of one frame into a region, up to halfway to their neighbours.

    Args:
        masks: (h, w) each.
        into: (h, w) pixels that may be added.
        margin: largest growth, pixels.
    """
    distances: Floats32 = np.stack([cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) for mask in masks])
    nearest = distances.argmin(axis=0)
    return [mask | (into & (distances[k] <= margin) & (nearest == k)) for k, mask in enumerate(masks)]
