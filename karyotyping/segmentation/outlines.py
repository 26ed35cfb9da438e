"""Outlines where the stain of each chromosome ends, close to the outlines of the masks.

The segmenter's maps have half the canonical scale, so its outlines are about a pixel too wide or too narrow. The stain
shows the outline: there it is about halfway between the chromosome and its background. The mask bounds the change,
and it alone decides where chromosomes touch or cross.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats32, Grey, Mask
from karyotyping.segmentation.contours import Contour, ninth_decile

_MIN_CONTRAST = 0.05  # stain of a chromosome above its background
_MIN_MAIN_PART = 0.9  # share of a refined region, 0..1, in its largest part; below it the region stays as it was
_MIN_SMOOTHING = 0.5  # px, standard deviation
_SMOOTHING = 0.05  # chromosome widths, standard deviation


@dataclass(frozen=True, slots=True)
class OutlineParameters:
    """How outlines follow the stain; lengths in chromosome widths."""

    reach: float = 0.125
    """Largest distance that an outline moves."""
    fraction: float = 0.45
    """Stain at the outline: 0 is the background, 1 the ninth decile of the chromosome."""
    surroundings: float = 0.8
    """Half side of the window whose least stain is the background."""


def refine_outlines(
    stain: Grey, regions: Sequence[Contour], width: float, parameters: OutlineParameters
) -> list[Contour]:
    """Move the outline of each chromosome to where its stain ends.

    Each region stays one connected region. Pixels that regions share stay shared; no region takes pixels of another.

    Args:
        stain: (H, W) of the normalised image.
        regions: (N,) chromosomes of the image, inside it.
        width: chromosome width, pixels.
        parameters: distance and stain.

    Returns:
        The (N,) regions, in the same order.
    """
    reach = parameters.reach * width
    margin = int(np.ceil(reach)) + 1
    frames = [
        Contour(np.pad(region.mask, margin), (region.origin[0] - margin, region.origin[1] - margin))
        for region in regions
    ]
    distances = [_signed_distance(frame.mask) for frame in frames]
    nearest, depth = _owners(frames, distances, stain.shape)
    smooth, background = _smooth_and_background(stain, width, parameters.surroundings)
    result = []
    for k, (region, frame, distance) in enumerate(zip(regions, frames, distances, strict=True)):
        in_image, in_crop = frame.window(stain.shape)
        mask = frame.mask[in_crop]
        excess = _excess(smooth[in_image], background[in_image], mask, parameters.fraction)
        inside = excess > distance[in_crop] / reach
        refined = np.zeros_like(frame.mask)
        refined[in_crop] = (inside & (mask | (nearest[in_image] == k))) | (mask & (depth[in_image] > 1))
        part = _main_part(refined)
        result.append(region if part is None else Contour(part, frame.origin).clipped((stain.shape[0], stain.shape[1])))
    return result


def _smooth_and_background(stain: Grey, width: float, surroundings: float) -> tuple[Grey, Grey]:
    """Return the smoothed stain (H, W), and the least stain around each pixel."""
    smooth = np.asarray(cv2.GaussianBlur(stain, (0, 0), max(_MIN_SMOOTHING, _SMOOTHING * width)), np.float32)
    radius = max(2, round(surroundings * width))
    least = cv2.erode(smooth, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
    return smooth, np.asarray(cv2.GaussianBlur(least, (0, 0), 0.5 * radius), np.float32)


def _excess(stain: Grey, background: Grey, mask: Mask, fraction: float) -> Floats32:
    """Return the stain (h, w) above that of an outline, in half contrasts, -1..1."""
    contrast = np.maximum(ninth_decile(stain[mask]) - background, _MIN_CONTRAST)
    return np.asarray(np.clip(2 * ((stain - background) / contrast - fraction), -1, 1), np.float32)


def _signed_distance(mask: Mask) -> Floats32:
    """Return the distance (h, w) of each pixel from the outline, pixels; < 0 is inside."""
    filled = mask.astype(np.uint8)
    inside = cv2.distanceTransform(filled, cv2.DIST_L2, 5)
    outside = cv2.distanceTransform(1 - filled, cv2.DIST_L2, 5)
    return np.where(mask, 0.5 - inside, outside - 0.5).astype(np.float32)


def _owners(
    frames: Sequence[Contour], distances: Sequence[Floats32], shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the nearest region of each pixel (H, W), -1 for none, and how many cover it."""
    nearest, depth = np.full(shape, -1, np.int32), np.zeros(shape, np.int32)
    least = np.full(shape, np.inf, np.float32)
    for k, (frame, distance) in enumerate(zip(frames, distances, strict=True)):
        in_image, in_crop = frame.window(shape)
        closer = distance[in_crop] < least[in_image]
        least[in_image][closer], nearest[in_image][closer] = distance[in_crop][closer], k
        depth[in_image] += frame.mask[in_crop]
    return nearest, depth


def _main_part(mask: Mask) -> Mask | None:
    """Return the largest 8-connected part of a mask; None if the mask is empty or falls apart."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    sizes = np.bincount(labels.ravel(), minlength=2)[1:]
    if count == 1 or sizes.max() < _MIN_MAIN_PART * sizes.sum():
        return None
    return np.asarray(labels == 1 + int(sizes.argmax()))
