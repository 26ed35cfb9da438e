"""Chromosomes by geometry: clusters are split, the parts weighed against the router's opinion and grown to their rims.

The baseline beside the segmenter network, and what is left where there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Mask
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
    contour: int
    """Number of the contour."""


def split_regions(
    regions: Sequence[tuple[Contour, float]], image: Normalised, typical_area: float, parameters: StreamParameters
) -> list[Piece]:
    """The regions of one image, those that are improbably single chromosomes split."""
    pieces: list[Piece] = []
    for index, (region, single) in enumerate(regions):
        if single >= parameters.single:
            pieces.append(Piece(region, single, index))
            continue
        stain = region.crop(image.stain)
        parts = split_region(region.mask, stain, image.width, typical_area, parameters.splitting)
        pieces += [Piece(Contour(part.mask, region.origin), part.score, index) for part in parts]
    return pieces


def combine_scores(
    pieces: Sequence[Piece], routes: NDArray[np.float32] | None, parameters: StreamParameters
) -> Sequence[Piece]:
    """The pieces with the router's opinion in their scores: the weighted geometric mean of both probabilities."""
    if routes is None:
        return pieces
    weight = parameters.geometry_weight
    return [
        Piece(piece.region, piece.score**weight * float(p[SINGLE]) ** (1.0 - weight), piece.contour)
        for piece, p in zip(pieces, routes, strict=True)
    ]


def grow_pieces(pieces: Sequence[Piece], image: Normalised, parameters: StreamParameters) -> list[ScoredRegion]:
    """The pieces grown to the rims of their contours, which blur made pale."""
    margin = parameters.growth * image.width
    pad = int(np.ceil(margin)) + 1
    told = []
    for index in sorted({piece.contour for piece in pieces}):
        group = [piece for piece in pieces if piece.contour == index]
        x, y = group[0].region.origin
        frame = Contour(np.pad(group[0].region.mask, pad), (x - pad, y - pad))
        rim = frame.crop(image.stain) > parameters.rim
        masks = grow_masks([np.pad(piece.region.mask, pad) for piece in group], rim, margin)
        told += [
            ScoredRegion(Contour(mask, frame.origin), piece.score) for piece, mask in zip(group, masks, strict=True)
        ]
    return told


def grow_masks(masks: Sequence[Mask], into: Mask, margin: float) -> list[Mask]:
    """Masks (h, w) of one frame grown by ``margin`` pixels ``into`` a region, up to halfway to their neighbours."""
    distances: NDArray[np.float32] = np.stack(
        [cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5) for mask in masks]
    )
    nearest = distances.argmin(axis=0)
    return [mask | (into & (distances[k] <= margin) & (nearest == k)) for k, mask in enumerate(masks)]
