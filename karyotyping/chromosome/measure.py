"""Measurement of one chromosome: straightening along its medial axis, profiles, centromere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from karyotyping.arrays import Bools, Floats, Floats32
from karyotyping.chromosome.centromere import constriction_profile, locate_centromere
from karyotyping.chromosome.medial_axis import (
    Path,
    arc_length,
    axis_deviation,
    cross_sections,
    elongation,
    inner_run,
    largest_part,
    medial_axis,
    resample,
    straight_axis,
)
from karyotyping.chromosome.unfold import unfold

PROFILE_SAMPLES = 64  # along the medial axis
_PROFILE_WIDTH = 0.6  # share of the width whose stain makes the profile; the pale rims depend on the preparation
_PERCENTILES = 0.05 * (PROFILE_SAMPLES - 1), 0.95 * (PROFILE_SAMPLES - 1)  # indices of the 5th and 95th when sorted
_MIN_TYPICAL_WIDTH = 0.8  # over the cell's median width; below it the axis may follow one chromatid
_MAX_TYPICAL_WIDTH = 1.3  # over the cell's median width, exceeded by 1 % of unfolded chromosomes
_STUBBY_AREA = 2.6  # squared widths; maximum area of a stubby chromosome, whose skeleton is unreliable
_STUBBY_ELONGATION = 2.0  # maximum elongation of a stubby chromosome
_BENT_DEVIATION = 0.15  # widths; minimum deviation of a bent chromosome from its straight axis
_CHROMATID_WIDTH = 0.62  # over the cell's median width; maximum width along an axis that follows one chromatid
_UNFOLDED_LENGTH = 1.2  # minimum length of an unfolded chromosome over its folded length


@dataclass(frozen=True, slots=True)
class Measurement:
    """Measurement of one chromosome. Lengths are in pixels of the crop."""

    axis: Floats
    """(n, 2) x and y of points on the medial axis, from the upper end to the lower."""
    length: float
    """Length of the medial axis."""
    width: float
    """Mean width across the medial axis."""
    area: int
    inside: Bools
    """(L, W) pixels of the straightened chromosome, medial axis vertical, L = ``length`` rounded."""
    stain: Floats32
    """(L, W) stain of the straightened chromosome; 0 outside."""
    profile: Floats32
    """(64,) mean stain across the middle of the width, upper end first, its 5th..95th percentiles at 0..1."""
    density: Floats32
    """(64,) ``profile`` in units of stain."""
    widths: Floats32
    """(64,) width at the same places."""
    constriction: Floats32
    """(64,) by how much the chromosome is narrower than on both sides, as a share of its median width, 0..1."""
    centromere: float | None
    """Distance of the centromere from the upper end, as a share of the length; None without a constriction."""
    bend: float
    """Length over the distance between the tips; 1 for a straight chromosome."""

    @property
    def centromere_index(self) -> float | None:
        """Length of the shorter arm over the length, 0..0.5."""
        return None if self.centromere is None else min(self.centromere, 1.0 - self.centromere)

    @property
    def size(self) -> float:
        """Geometric mean of the area and of the summed stain, which both grow with the DNA content."""
        return float(np.sqrt(self.area * self.stain.sum()))

    def rotated(self) -> Measurement:
        """Return the measurement of the chromosome rotated by 180 degrees."""
        return replace(
            self,
            axis=self.axis[::-1],
            inside=self.inside[::-1, ::-1],
            stain=self.stain[::-1, ::-1],
            profile=self.profile[::-1],
            density=self.density[::-1],
            widths=self.widths[::-1],
            constriction=self.constriction[::-1],
            centromere=None if self.centromere is None else 1.0 - self.centromere,
        )


def measure_cell(outlines: Sequence[tuple[Floats32, Bools]]) -> list[Measurement]:
    """Measure the chromosomes of a cell.

    The median width of the cell identifies folded chromosomes and separated chromatids, which are measured again.

    Args:
        outlines: stain (h, w) and mask (h, w) of each chromosome.
    """
    measurements = [measure(stain, mask) for stain, mask in outlines]
    typical = typical_width(measurements) if measurements else 0.0
    return [
        _measure_again(item, stain, mask, typical) for item, (stain, mask) in zip(measurements, outlines, strict=True)
    ]


def typical_width(measurements: Sequence[Measurement]) -> float:
    """Return the median over chromosomes of area over length, pixels."""
    return float(np.median([item.area / item.length for item in measurements]))


def measure_in_cell(stain: Floats32, mask: Bools, typical: float) -> Measurement:
    """Measure a region as a chromosome of a cell, whose typical width is in pixels.

    Raises:
        ValueError: the shapes differ, or the mask is empty.
    """
    return _measure_again(measure(stain, mask), stain, mask, typical)


def _measure_again(first: Measurement, stain: Floats32, mask: Bools, typical: float) -> Measurement:
    """Return the measurement, repeated with the typical width if it is far from that."""
    if _MIN_TYPICAL_WIDTH * typical < first.area / first.length < _MAX_TYPICAL_WIDTH * typical:
        return first
    return measure(stain, mask, typical)


def measure(stain: Floats32, mask: Bools, typical_width: float | None = None) -> Measurement:
    """Measure one chromosome.

    Given ``typical_width``, a chromosome that is much wider is unfolded, and one with separated chromatids is measured
    along a straight axis.

    Args:
        stain: (h, w) 0 background, about 1 chromosome.
        mask: (h, w) outline.
        typical_width: median width of the cell's chromosomes, pixels.

    Raises:
        ValueError: the shapes differ, or the mask is empty.
    """
    if stain.shape != mask.shape:
        raise ValueError(f"stain {stain.shape} and mask {mask.shape} of a chromosome differ in shape")
    part, axis, stubby = _find_axis(stain, mask, typical_width)
    length = float(arc_length(axis)[-1])
    edges = axis if length >= 3 else resample(axis, length / 3)
    rows = (edges[:-1] + edges[1:]) / 2
    reach = max(3, round(0.9 * int(part.sum()) / max(length, 1.0)))
    body = part.astype(np.float32)
    coverage, stained = cv2.split(cross_sections(np.asarray(cv2.merge((body, stain * body)), np.float32), rows, reach))
    inside = coverage > 0.5 if stubby else inner_run(coverage > 0.5)
    sections = np.asarray(stained / np.maximum(coverage, 0.25), np.float32)  # interpolation at the rim mixes in zeros
    widths = inside.sum(axis=1).astype(np.float64)
    density = _resample_rows(_middle_mean(sections, inside))
    low, high = np.interp(_PERCENTILES, np.arange(PROFILE_SAMPLES), np.sort(density))
    constriction = constriction_profile(sections, inside)
    tip_distance = float(abs(axis[-1] - axis[0]))
    return Measurement(
        axis=np.stack([axis.real, axis.imag], axis=1),
        length=length,
        width=float(widths.mean()),
        area=int(part.sum()),
        inside=inside,
        stain=np.where(inside, sections, np.float32(0)),
        profile=np.clip((density - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32),
        density=density,
        widths=_resample_rows(widths),
        constriction=constriction,
        centromere=locate_centromere(constriction),
        bend=length / max(tip_distance, 1.0),
    )


def _find_axis(stain: Floats32, mask: Bools, typical_width: float | None) -> tuple[Bools, Path, bool]:
    """Return the chromosome's pixels (h, w), its axis, and whether it is stubby."""
    part = largest_part(mask)
    axis = medial_axis(part)
    length = float(arc_length(axis)[-1])
    area = int(np.count_nonzero(part))
    if area < _STUBBY_AREA * (typical_width or area / length) ** 2 and elongation(part) < _STUBBY_ELONGATION:
        straight = straight_axis(part)
        along_chromatid = typical_width is not None and area < _CHROMATID_WIDTH * typical_width * length
        if along_chromatid or axis_deviation(part, straight) < _BENT_DEVIATION:
            return part, straight, True
    elif typical_width is not None and area > _MAX_TYPICAL_WIDTH * typical_width * length:
        part, axis = _unfold(stain, mask, typical_width, length) or (part, axis)
    return part, axis, False


def _unfold(stain: Floats32, mask: Bools, typical_width: float, length: float) -> tuple[Bools, Path] | None:
    """Return the arms of a folded chromosome and their axis, or None if it is not longer."""
    arms = unfold(stain, mask, typical_width)
    if arms is None:
        return None
    axis = medial_axis(arms)
    return (arms, axis) if arc_length(axis)[-1] > _UNFOLDED_LENGTH * length else None


def _middle_mean(sections: Floats32, inside: Bools) -> Floats:
    """Return the mean stain (L,) of each row over the middle of its ``inside`` pixels."""
    offsets = np.arange(sections.shape[1]) - sections.shape[1] // 2
    width = inside.sum(axis=1)
    middle = (inside * offsets).sum(axis=1) / np.maximum(width, 1)
    in_middle = np.abs(offsets[None, :] - middle[:, None]) <= np.maximum(_PROFILE_WIDTH * width / 2, 1.0)[:, None]
    mean: Floats = (sections * in_middle).sum(axis=1, dtype=np.float64) / in_middle.sum(axis=1)
    return mean


def density_along(measured: Measurement, samples: int) -> Floats32:
    """Return the mean stain (``samples``,) across the middle of the width, upper end first.

    Finer than ``density`` where the chromosome has more than 64 rows.
    """
    return _resample_rows(_middle_mean(measured.stain, measured.inside), samples)


def _resample_rows(values: Floats, samples: int = PROFILE_SAMPLES) -> Floats32:
    """Return the means (``samples``,) of ``values`` (L,) over equal parts of the length."""
    edges = np.arange(samples + 1) * (len(values) / samples)
    integral = np.zeros(len(values) + 1)
    values.cumsum(out=integral[1:])
    integral_at_edges = np.interp(edges, np.arange(len(values) + 1), integral)
    return np.asarray((integral_at_edges[1:] - integral_at_edges[:-1]) * (samples / len(values)), np.float32)
