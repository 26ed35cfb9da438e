"""One chromosome, drawn from its ideogram.

The stain is a function of two coordinates: ``s`` along the axis, from the p telomere (0) to the q telomere (length),
and ``t`` across it. Every pixel near a random smooth axis gets its ``(s, t)``, at which the two chromatids are
evaluated. A bent chromosome is drawn without resampling a straight one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from karyotyping.arrays import Floats, Floats32
from karyotyping.nomenclature.ideogram import Banding, Resolution, bands, centromere_index, density, relative_length
from training.simulation.appearance import Appearance, draw_values
from training.simulation.axis import Course, axis_coordinates, integrate_headings
from training.simulation.noise import smooth_noise

_STEP = 0.5  # px between samples along the axis
_EDGE = 0.45  # px, width of a chromatid's soft edge before the optics


@dataclass(frozen=True, slots=True)
class Patch:
    """One chromosome on an empty background."""

    class_id: int
    """1..24; 0 if unknown."""
    stain: Floats32
    """(h, w) absorbance, or brightness in fluorescence; 0 outside."""
    mask: NDArray[np.bool_]
    """(h, w) body of the chromosome, whatever its bands."""
    axis: Floats32
    """(K, 2) x, y of the medial axis in the patch, from the p to the q telomere."""
    centromere: int
    """Index of the centromere in ``axis``."""


def chromosome_length(class_id: int, first_length: float) -> float:
    """Return the mean length of a class, given the length of chromosome 1, in the same unit.

    >>> chromosome_length(1, 100.0)
    100.0
    """
    return first_length * relative_length(class_id) / relative_length(1)


def draw_chromosome(
    class_id: int,
    rng: np.random.Generator,
    *,
    cell: Mapping[str, float] | None = None,
    angle: float | None = None,
    course: Course | None = None,
    resolution: Resolution = 550,
    banding: Banding = "G",
) -> Patch:
    """Draw a chromosome of a class.

    Args:
        class_id: 1..24.
        rng: source of randomness.
        cell: one value of each range of ``Appearance``, shared by the chromosomes of a cell; drawn if None.
        angle: mean direction from the p to the q telomere, radians (0 right, pi / 2 down); any if None.
        course: course of the axis instead of the usual bends of ``cell``.
        resolution: band level of the ideogram.
        banding: banding of the stain.
    """
    cell = draw_values(Appearance(), rng) if cell is None else cell
    angle = float(rng.uniform(0, 2 * np.pi)) if angle is None else angle
    length = chromosome_length(class_id, cell["first_length"]) * rng.lognormal(0, cell["length_jitter"])
    size = relative_length(class_id) / relative_length(1)
    width = cell["width"] * (1 - cell["small_narrow"] * (1 - size)) * rng.lognormal(0, cell["width_jitter"])
    length = max(length, 1.1 * width)
    centromere = centromere_index(class_id, resolution)

    if course is None:
        course = _usual_course(length=length, width=width, centromere=centromere, cell=cell, rng=rng)
    axis = integrate_headings(angle + course(np.linspace(0, 1, max(8, int(length / _STEP)))), length)
    margin = 0.5 * width * (1 + cell["gap"] + cell["splay"]) + 4
    axis -= np.floor(axis.min(axis=0) - margin)
    columns, rows = (int(n) for n in np.ceil(axis.max(axis=0) + margin))
    pixels, s, t = axis_coordinates(axis, (rows, columns), reach=margin)

    half, gap = _outline(class_id, resolution, length=length, width=width, cell=cell)
    profile = _stain_profile(class_id, resolution, banding, length=length, cell=cell, rng=rng)
    grid = np.linspace(0, length, len(half))
    shift = rng.normal(0, cell["skew"]) / 2
    stain = np.zeros_like(s)
    body = np.zeros_like(s)
    inner = np.interp(s, grid, gap)
    radius = np.interp(s, grid, half)
    beyond = np.maximum(0, np.maximum(-s, s - length))
    for side in (-1, 1):
        across = np.hypot(t - side * inner, beyond)  # round ends: beyond the axis only the distance counts
        cover = 1 / (1 + np.exp(np.clip((across - radius) / _EDGE, -30, 30)))
        thickness = np.sqrt(np.clip(1.15 - (across / np.maximum(radius, 0.5)) ** 2, 0.15, 1))
        # Overlapping chromatids are one body, not twice as dark.
        stain = np.maximum(stain, cover * thickness * np.interp(s + side * shift, grid, profile))
        body = np.maximum(body, cover)
    stain, body = (_plane(values, pixels, (rows, columns)) for values in (stain, body))
    stain *= 1 + cell["granularity"] * smooth_noise(stain.shape, 1.2, rng)
    stain *= rng.lognormal(0, cell["stain_jitter"])
    stain = np.maximum(stain, 0)
    stain[body < 0.02] = 0
    mask = cv2.morphologyEx((body >= 0.5).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
    box = cv2.boundingRect((stain > 0).astype(np.uint8))
    x, y, w, h = box
    crop = np.s_[y : y + h, x : x + w]
    return Patch(
        class_id=class_id,
        stain=np.ascontiguousarray(stain[crop], np.float32),
        mask=np.ascontiguousarray(mask[crop]),
        axis=(axis - (x, y)).astype(np.float32),
        centromere=round(centromere * (len(axis) - 1)),
    )


def _usual_course(
    *, length: float, width: float, centromere: float, cell: Mapping[str, float], rng: np.random.Generator
) -> Course:
    """Return a random smooth course, with a kink at the centromere."""
    freedom = np.clip((length / width - 1.5) / 6, 0, 1)  # short and thick chromosomes are stiff
    turn = np.clip(rng.normal(0, cell["bend"]), -2.4, 2.4) * freedom
    wave = rng.normal(0, 0.35 * cell["bend"]) * freedom
    kink = np.clip(rng.normal(0, cell["kink"]), -0.9, 0.9) * freedom
    phase = rng.uniform()

    def course(u: Floats) -> Floats:
        bent = turn * (u - 0.5) + wave * np.cos(2 * np.pi * (u + phase))
        kinked: Floats = bent + kink * 0.5 * np.tanh((u - centromere) * length / width)
        return kinked

    return course


def _plane(values: Floats32, pixels: tuple[NDArray[np.intp], NDArray[np.intp]], shape: tuple[int, int]) -> Floats32:
    plane = np.zeros(shape, np.float32)
    plane[pixels] = values
    return plane


def _outline(
    class_id: int, resolution: Resolution, *, length: float, width: float, cell: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (n,) half-width of a chromatid and distance of its axis from the chromosome's."""
    n = max(8, int(2 * length))
    u = np.linspace(0, 1, n)
    distance = (u - centromere_index(class_id, resolution)) * length
    waist = np.exp(-0.5 * (distance / (cell["waist_extent"] * width)) ** 2)
    half = 0.5 * width * (1 - cell["waist"] * waist)
    for band in bands(class_id, resolution):
        if band.stain == "stalk":
            half *= 1 - 0.35 * np.exp(-0.5 * ((u - (band.start + band.stop) / 2) * length / (0.2 * width)) ** 2)
    end = np.clip(np.minimum(u, 1 - u) * length / (0.5 * width), 0, 1)
    half *= 0.8 + 0.2 * np.sqrt(1 - (1 - end) ** 2)
    # At the centromere both chromatids are one body of the whole width; elsewhere each has its side.
    apart = np.tanh((distance / (0.6 * width)) ** 2)
    separation = np.clip(0.3 + 0.5 * cell["gap"] + cell["splay"] * np.abs(distance) / length, 0, 1) * apart
    chromatid = half * (1 - 0.5 * separation)
    gap = (half - chromatid) * (1 + 0.25 * cell["splay"])
    return chromatid, gap


def _stain_profile(
    class_id: int,
    resolution: Resolution,
    banding: Banding,
    *,
    length: float,
    cell: Mapping[str, float],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the stain (n,) along the axis, with the heterochromatin of this homolog."""
    n = max(8, int(2 * length))
    stripes = bands(class_id, resolution)
    sizes = np.array([band.stop - band.start for band in stripes])
    densities = np.array([density(class_id, band, banding) for band in stripes])
    variable = np.array([band.stain == "gvar" for band in stripes])
    low = max(0.0, 2 - cell["heterochromatin"])
    factor = rng.uniform(min(low, cell["heterochromatin"]), max(low, cell["heterochromatin"]), 2)
    sizes[variable] *= factor[0]
    densities[variable] *= factor[1]
    edges = np.concatenate([[0.0], np.cumsum(sizes)]) / sizes.sum()
    knots = np.linspace(0, 1, 7)
    warp = np.interp(edges, knots, np.concatenate([[0], rng.normal(0, cell["band_warp"], 5), [0]]))
    edges = np.maximum.accumulate(np.clip(edges + warp, 0, 1))
    integral = np.concatenate([[0.0], np.cumsum(densities * np.diff(edges))])
    profile = np.diff(np.interp(np.linspace(0, 1, n + 1), edges, integral)) * n
    blurred = gaussian_filter1d(profile, 2 * cell["band_blur"] * cell["first_length"], mode="nearest")
    stained: NDArray[np.float64] = cell["stain"] * (cell["light_stain"] + (1 - cell["light_stain"]) * blurred)
    return stained
