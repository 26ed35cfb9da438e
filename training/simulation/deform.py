"""Single chromosomes made ready to be laid anywhere: cut from a report or drawn straight, bent, turned and scaled.

A cut chromosome ends where somebody's scissors went. Here its edge goes on outward and fades (the halo), so that the
cut does not show, and its outline is kept as a distance, so that the mask is exact at any scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Floats, Floats32
from karyotyping.chromosome.medial_axis import largest_part, medial_axis
from karyotyping.image.normalise import chromosome_width
from training.simulation.axis import Course, axis_coordinates, integrate_headings

_FRAME = 12
"""Pixels that a single goes on beyond its picture."""
_SOFT = 0.7
"""Standard deviation of the blur of what goes on beyond the edge, pixels: without it, streaks."""

_RIM = 0.09
"""Widths that a chromosome is held to reach beyond the outline of its report: once blurred, its stain is there half of
what it is inside, as it is at outlines that were drawn in photographs."""


@dataclass(frozen=True, slots=True)
class SingleChromosome:
    """A chromosome of a cell, in the pixels of its own picture."""

    stain: NDArray[np.float16]
    """(h, w) about 1 on it; beyond its outline, that of the nearest point of its edge."""
    depth: NDArray[np.float16]
    """(h, w) distance from the outline, positive inside."""
    axis: Floats32
    """(K, 2) x, y of the medial axis, about a pixel apart; from the p telomere in reports of upright chromosomes."""
    width: float

    @property
    def length(self) -> float:
        """Of the axis."""
        return float(np.hypot(*np.diff(self.axis, axis=0).T).sum())


@dataclass(frozen=True, slots=True)
class DeformedChromosome:
    """A single as it lies in a field."""

    stain: Floats32
    """(h, w) halo and all."""
    mask: NDArray[np.bool_]
    """(h, w)"""
    axis: Floats32
    """(K, 2) x, y in the patch."""


def extract_chromosome(stain: Floats32, mask: NDArray[np.bool_] | None = None) -> SingleChromosome | None:
    """Make a single of a picture (h, w) of one chromosome on nothing; None if too little is on it.

    The mask, where it is not known, is what is at least 0.4 times as stained as most of the chromosome: outlines of
    several reports then agree with what annotators draw in metaphases.
    """
    if mask is None:
        solid = stain > 0.4 * np.median(stain[stain > 0.25 * stain.max()])
        outlines, _ = cv2.findContours(solid.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(np.zeros(stain.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
        mask = np.asarray(filled, np.uint8) > 0
    if np.count_nonzero(mask) < 30:
        return None
    mask = np.pad(largest_part(mask), _FRAME)
    body = mask.astype(np.uint8)
    outside, nearest = cv2.distanceTransformWithLabels(1 - body, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    depth = np.where(mask, cv2.distanceTransform(body, cv2.DIST_L2, 5) - 0.5, 0.5 - outside)
    level = np.zeros(int(nearest.max()) + 1, np.float32)
    values = np.pad(stain, _FRAME) / np.float32(np.median(stain[mask[_FRAME:-_FRAME, _FRAME:-_FRAME]]))
    level[nearest[mask]] = values[mask]
    extended = level[nearest]
    extended = np.where(mask, extended, cv2.GaussianBlur(extended, (0, 0), _SOFT))
    path = medial_axis(mask)
    return SingleChromosome(
        extended.astype(np.float16),
        depth.astype(np.float16),
        np.column_stack([path.real, path.imag]).astype(np.float32),
        chromosome_width(mask),
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
    """Lay a single so that its axis winds by ``course`` more than it did, about ``angle``.

    Args:
        scale: pixels of the field for one of its picture.
        halo: distance outside its outline at which its stain has faded to 1 / e, pixels of the field.
        stretch: how much longer it becomes beyond its scale.
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
    forward, aside = (place - foot) * step, across * ((-1 if mirrored else 1) / scale)
    x = start[:, 0] + forward * tangent[:, 0] - aside * tangent[:, 1]
    y = start[:, 1] + forward * tangent[:, 1] + aside * tangent[:, 0]
    planes = np.dstack([item.stain, item.depth]).astype(np.float32)
    x, y = x.astype(np.float32)[:, None], y.astype(np.float32)[:, None]
    seen = cv2.remap(planes, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[:, 0]
    depth = seen[:, 1] * scale
    stain, mask = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), bool)
    fade = np.exp(np.minimum(depth, 0) / halo)
    stain[pixels] = seen[:, 0] * np.where(fade > 0.04, fade, 0)
    mask[pixels] = depth > -_RIM * item.width * scale
    return DeformedChromosome(stain, mask, axis.astype(np.float32))


def deformed_axis(item: SingleChromosome, scale: float, angle: float, course: Course, mirrored: bool) -> Floats:
    """The axis (K, 2) of a single that winds by ``course`` more than it did; points about a pixel apart."""
    nodes = max(8, round(item.length * scale))
    steps = np.gradient(item.axis, axis=0)
    heading = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    heading -= heading.mean()
    u = np.linspace(0, 1, nodes)
    own = np.interp(u, np.linspace(0, 1, len(heading)), -heading if mirrored else heading)
    return integrate_headings(angle + own + course(u), item.length * scale)
