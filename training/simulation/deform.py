"""Deformation of single chromosomes from reports or drawings: bent, rotated and scaled.

The image of a chromosome in a report ends at its outline. Here its edge continues outward and fades (the halo), so that
the outline does not show. The outline is stored as a distance, so that the mask is exact at any scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Floats32
from karyotyping.chromosome.medial_axis import largest_part, medial_axis
from karyotyping.image.normalise import CANONICAL_WIDTH
from karyotyping.image.structures import chromosome_width
from training.simulation.axis import Course, axis_coordinates, integrate_headings

_MARGIN = 12  # px around the image of a chromosome
_HALO_SIGMA = 0.7  # px, standard deviation of the blur of the continued edge, which would have streaks without it
_MASK_MARGIN = 0.09
"""Distance of the mask from the outline of the report, chromosome widths.

There the blurred stain is half of that inside, as at outlines that annotators draw in metaphase images."""


@dataclass(frozen=True, slots=True)
class SingleChromosome:
    """Chromosome of a cell, in the pixels of its own image."""

    stain: NDArray[np.float16]
    """(h, w) about 1 inside; outside, that of the nearest point of the edge."""
    depth: NDArray[np.float16]
    """(h, w) distance from the outline, pixels, positive inside."""
    axis: Floats32
    """(K, 2) x, y of the medial axis, about a pixel apart; from the p telomere if the chromosome is upright."""
    width: float
    """Width, pixels."""

    @property
    def length(self) -> float:
        """Length of the axis, pixels."""
        return float(np.hypot(*np.diff(self.axis, axis=0).T).sum())


@dataclass(frozen=True, slots=True)
class DeformedChromosome:
    """Chromosome deformed and scaled to the pixels of a tile."""

    stain: Floats32
    """(h, w) stain with its halo."""
    mask: NDArray[np.bool_]
    """(h, w) body of the chromosome."""
    axis: Floats32
    """(K, 2) x, y of the medial axis in the patch."""


def extract_chromosome(stain: Floats32, mask: NDArray[np.bool_] | None = None) -> SingleChromosome | None:
    """Extract a chromosome from its own image.

    An unknown mask is where the stain is above 0.4 times its median: outlines of several reports then agree with those
    that annotators draw in metaphases.

    Args:
        stain: (h, w) stain on an empty background.
        mask: (h, w) mask, if it is known.

    Returns:
        None if the chromosome is too small.
    """
    if mask is None:
        solid = stain > 0.4 * np.median(stain[stain > 0.25 * stain.max()])
        outlines, _ = cv2.findContours(solid.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros(stain.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
        mask = np.asarray(filled, np.uint8) > 0
    if np.count_nonzero(mask) < 30:
        return None
    mask = np.pad(largest_part(mask), _MARGIN)
    body = mask.astype(np.uint8)
    outside, nearest = cv2.distanceTransformWithLabels(1 - body, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    depth = np.where(mask, cv2.distanceTransform(body, cv2.DIST_L2, 5) - 0.5, 0.5 - outside)
    level = np.zeros(int(nearest.max()) + 1, np.float32)
    padded = np.pad(stain, _MARGIN) / np.float32(np.median(stain[mask[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]]))
    level[nearest[mask]] = padded[mask]
    extended = level[nearest]
    extended = np.where(mask, extended, cv2.GaussianBlur(extended, (0, 0), _HALO_SIGMA))
    path = medial_axis(mask)
    return SingleChromosome(
        extended.astype(np.float16),
        depth.astype(np.float16),
        np.column_stack([path.real, path.imag]).astype(np.float32),
        chromosome_width(mask) or CANONICAL_WIDTH,
    )


def deform_chromosome(
    item: SingleChromosome,
    *,
    scale: float,
    angle: float,
    course: Course,
    halo: float,
    stretch: float = 1.0,
    mirrored: bool = False,
) -> DeformedChromosome:
    """Bend, rotate and scale a chromosome.

    Args:
        item: chromosome.
        scale: pixels of the tile per pixel of its image.
        angle: mean direction of its axis, radians.
        course: course of the axis, added to its own bends.
        halo: distance outside of the outline at which the stain has faded to 1 / e, pixels of the tile.
        stretch: additional factor of the length.
        mirrored: whether to mirror it.
    """
    axis = deformed_axis(item, scale * stretch, angle, course, mirrored)
    reach = 0.75 * item.width * scale + 3 * halo + 2
    axis -= np.floor(axis.min(axis=0) - reach)
    columns, rows = (int(n) for n in np.ceil(axis.max(axis=0) + reach))
    pixels, along, across = axis_coordinates(axis, (rows, columns), reach)
    source = item.axis
    step = item.length / (len(source) - 1)
    place = along / (scale * stretch * step)
    foot = np.clip(np.round(place), 0, len(source) - 1).astype(np.intp)
    tangent = np.gradient(source, axis=0)
    tangent /= np.sqrt((tangent**2).sum(axis=1, keepdims=True))
    tangent, start = tangent[foot], source[foot]
    forward, sideways = (place - foot) * step, across * ((-1 if mirrored else 1) / scale)
    x = start[:, 0] + forward * tangent[:, 0] - sideways * tangent[:, 1]
    y = start[:, 1] + forward * tangent[:, 1] + sideways * tangent[:, 0]
    planes = np.dstack([item.stain, item.depth]).astype(np.float32)
    x, y = x.astype(np.float32)[:, None], y.astype(np.float32)[:, None]
    values = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    depth = values[:, 1] * scale
    stain, mask = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), bool)
    fade = np.exp(np.minimum(depth, 0) / halo)
    stain[pixels] = values[:, 0] * np.where(fade > 0.04, fade, 0)
    mask[pixels] = depth > -_MASK_MARGIN * item.width * scale
    return DeformedChromosome(stain, mask, axis.astype(np.float32))


def deformed_axis(item: SingleChromosome, scale: float, angle: float, course: Course, mirrored: bool) -> Floats:
    """Return the axis (K, 2) of a deformed chromosome, x, y about a pixel apart.

    Args:
        item: chromosome.
        scale: factor of its length.
        angle: mean direction of the axis, radians.
        course: course of the axis, added to its own bends.
        mirrored: whether the chromosome is mirrored.
    """
    nodes = max(8, round(item.length * scale))
    steps = np.gradient(item.axis, axis=0)
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    heading -= heading.mean()
    u = np.linspace(0, 1, nodes)
    own = np.interp(u, np.linspace(0, 1, len(heading)), -heading if mirrored else heading)
    return integrate_headings(angle + own + course(u), item.length * scale)
