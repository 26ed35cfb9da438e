"""One chromosome, measured: straightened along its medial axis, with its profiles and its centromere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.centromere import centromere, constriction
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

PROFILE_SAMPLES = 64
_MIDDLE = 0.6
"""Share of the width whose stain makes the profile; the rims are paler, and differently so in each preparation."""
_EXTREMES = 0.05 * (PROFILE_SAMPLES - 1), 0.95 * (PROFILE_SAMPLES - 1)
"""Where the 5th and the 95th percentile lie among the sorted samples of a profile."""
BLACK = 1.8
"""Stain that is drawn black: dark bands lie well above a chromosome's typical 1."""
_WIDE, _THIN = 1.3, 0.8
"""Widths of the cell's other chromosomes from which on one may be folded, as fewer than 1 in 100 others are so wide,
and up to which the medial axis may run along one of its chromatids."""
_STUBBY_AREA, _STUBBY_ELONGATION = 2.6, 2.0
"""Squared widths and elongation below which a chromosome's skeleton says nothing: its chromatids stand apart as far as
they are long, and the longest way through them is not the chromosome's ..."""
_STRAIGHT, _CHROMATID = 0.15, 0.62
"""... unless it is bent: the middles of its cross-sections lie farther than the first, in widths, off a straight axis,
and along its own it is wider than a chromatid, which has up to the second of the width of the cell's chromosomes."""
_LONGER = 1.2
"""How much longer a folded chromosome at least comes out when its arms are told apart."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one stain crop says about its chromosome. Lengths are in pixels of the crop."""

    axis: NDArray[np.float64]
    """(n, 2) medial axis, x and y of points in the crop, from the upper end to the lower."""
    length: float
    width: float
    """Mean width across the medial axis."""
    area: int
    straightened: NDArray[np.uint8]
    """(L, W) grey, stain dark on white, medial axis vertical, L = ``length`` rounded."""
    stain: NDArray[np.float32]
    """(L, W) the same before it was drawn: 0 outside of the chromosome, however strong inside."""
    profile: NDArray[np.float32]
    """(64,) mean stain across the middle of the width, upper end to lower, its 5th..95th percentiles at 0..1."""
    density: NDArray[np.float32]
    """(64,) the same before it was stretched to 0..1."""
    widths: NDArray[np.float32]
    """(64,) width at the same places."""
    constriction: NDArray[np.float32]
    """(64,) how much narrower the chromosome is here than on both sides, 0..1."""
    centromere: float | None
    """Position of the centromere, a fraction of the length from the upper end; None if no constriction is seen."""
    bend: float
    """Length over the distance between the tips; 1 for a straight chromosome."""

    @property
    def centromere_index(self) -> float | None:
        """The shorter arm's length over the whole, 0..0.5."""
        return None if self.centromere is None else min(self.centromere, 1.0 - self.centromere)

    @property
    def size(self) -> float:
        """Geometric mean of its area and of the stain that it holds, which both grow with its DNA."""
        return float(np.sqrt(self.area * self.stain.sum()))

    def rotated(self) -> Measurement:
        """The same chromosome the other way up."""
        return replace(
            self,
            axis=self.axis[::-1],
            straightened=self.straightened[::-1, ::-1],
            stain=self.stain[::-1, ::-1],
            profile=self.profile[::-1],
            density=self.density[::-1],
            widths=self.widths[::-1],
            constriction=self.constriction[::-1],
            centromere=None if self.centromere is None else 1.0 - self.centromere,
        )


def measure_cell(outlined: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> list[Measurement]:
    """Measure the chromosomes of a cell, (stain, mask) each; the width of the others tells folded and stubby ones."""
    measured = [measure(stain, mask) for stain, mask in outlined]
    usual = float(np.median([one.area / one.length for one in measured])) if measured else 0.0
    return [
        one if _THIN * usual < one.area / one.length < _WIDE * usual else measure(stain, mask, usual)
        for one, (stain, mask) in zip(measured, outlined, strict=True)
    ]


def measure(stain: NDArray[np.float32], mask: NDArray[np.bool_], usual_width: float | None = None) -> Measurement:
    """Measure the chromosome that ``mask`` (h, w) outlines in ``stain`` (h, w; 0 background, about 1 chromosome).

    Beside ``usual_width``, that of the others in its cell, it may be so wide that its arms must lie folded on each
    other, or so short that its skeleton says nothing.

    Raises:
        ValueError: the shapes differ, or the mask is empty.
    """
    if stain.shape != mask.shape:
        raise ValueError(f"stain {stain.shape} and mask {mask.shape} of a chromosome differ in shape")
    part = largest_part(mask)
    axis = medial_axis(part)
    length = float(arc_length(axis)[-1])
    area = int(np.count_nonzero(part))
    stubby = area < _STUBBY_AREA * (usual_width or area / length) ** 2 and elongation(part) < _STUBBY_ELONGATION
    if stubby:
        straight = straight_axis(part)
        parted = usual_width is not None and area < _CHROMATID * usual_width * length
        stubby = parted or axis_deviation(part, straight) < _STRAIGHT
        axis = straight if stubby else axis
    elif usual_width is not None and area > _WIDE * usual_width * length:
        part, axis = _opened(stain, mask, usual_width, length) or (part, axis)
    length = float(arc_length(axis)[-1])
    edges = axis if length >= 3 else resample(axis, length / 3)
    rows = (edges[:-1] + edges[1:]) / 2
    reach = max(3, round(0.9 * int(part.sum()) / max(length, 1.0)))
    body = part.astype(np.float32)
    coverage, stained = cv2.split(cross_sections(np.asarray(cv2.merge((body, stain * body)), np.float32), rows, reach))
    inside = coverage > 0.5 if stubby else inner_run(coverage > 0.5)
    sections = np.asarray(stained / np.maximum(coverage, 0.25), np.float32)  # what was sampled outside is not stain
    black = np.float32(255 / BLACK)
    widths = inside.sum(axis=1).astype(np.float64)
    density = _along(_middle_mean(sections, inside))
    low, high = np.interp(_EXTREMES, np.arange(PROFILE_SAMPLES), np.sort(density))
    pinched = constriction(sections, inside)
    tip_distance = float(abs(axis[-1] - axis[0]))
    return Measurement(
        axis=np.stack([axis.real, axis.imag], axis=1),
        length=length,
        width=float(widths.mean()),
        area=int(part.sum()),
        straightened=np.where(inside, np.clip(255 - black * sections, 0, 254), 255).round().astype(np.uint8),
        stain=np.where(inside, sections, np.float32(0)),
        profile=np.clip((density - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32),
        density=density,
        widths=_along(widths),
        constriction=pinched,
        centromere=centromere(pinched),
        bend=length / max(tip_distance, 1.0),
    )


def _opened(
    stain: NDArray[np.float32], mask: NDArray[np.bool_], usual_width: float, length: float
) -> tuple[NDArray[np.bool_], Path] | None:
    """A folded chromosome without the seam between its arms, and its medial axis; None if that is no longer one."""
    arms = unfold(stain, mask, usual_width)
    if arms is None:
        return None
    axis = medial_axis(arms)
    return (arms, axis) if arc_length(axis)[-1] > _LONGER * length else None


def _middle_mean(sections: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean stain of each row over the middle of what is ``inside``, (L,); the medial axis itself where nothing is."""
    offsets = np.arange(sections.shape[1]) - sections.shape[1] // 2
    width = inside.sum(axis=1)
    middle = (inside * offsets).sum(axis=1) / np.maximum(width, 1)
    near = np.abs(offsets[None, :] - middle[:, None]) <= np.maximum(_MIDDLE * width / 2, 1.0)[:, None]
    mean: NDArray[np.float64] = (sections * near).sum(axis=1, dtype=np.float64) / near.sum(axis=1)
    return mean


def _along(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """``values`` of the rows, averaged over 64 equal stretches of the length."""
    edges = np.arange(PROFILE_SAMPLES + 1) * (len(values) / PROFILE_SAMPLES)
    integral = np.zeros(len(values) + 1)
    values.cumsum(out=integral[1:])
    upto = np.interp(edges, np.arange(len(values) + 1), integral)
    return np.asarray((upto[1:] - upto[:-1]) * (PROFILE_SAMPLES / len(values)), np.float32)
