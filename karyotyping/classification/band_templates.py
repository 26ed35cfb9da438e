"""Templates of the classes from the ideogram: band profiles, length, centromere, stain.

Profiles differ between preparations. Blur depends on the optics and the condensation; it is a length in the cell, not a
share of the chromosome. The arms condense unequally, and an outline may end inside or outside of the telomeres. Each
class therefore has a family of profiles, and a chromosome is compared with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter1d

from karyotyping.arrays import Floats
from karyotyping.chromosome.measure import PROFILE_SAMPLES
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.ideogram import Banding, Resolution, centromere_index, density_profile, relative_length

_IDEOGRAM_SAMPLES = 512  # of an ideogram's profile
_RESOLUTIONS: tuple[Resolution, ...] = (400, 550)  # bands per haploid set
_BLURS = (0.013, 0.02, 0.032)  # standard deviations along the axis, as shares of the length of chromosome 1
_ARM_SHIFTS = (-0.06, -0.03, 0.0, 0.03, 0.06)  # displacement of the centromere by condensation, share of the length
_END_SHIFTS = (-0.03, 0.0, 0.03)  # outline beyond (> 0) or before the telomere, share of the length
_WARP_SCALE = 0.06  # shift that counts as a warp of 1

END_WEIGHTS: Floats = np.sqrt(np.clip((np.minimum(np.arange(64), 63 - np.arange(64)) + 0.5) / 3.0, 0.15, 1.0))
"""(64,) roots of the sample weights; the outermost samples depend on the outline more than on the bands."""


@dataclass(frozen=True, slots=True)
class BandTemplates:
    """The 24 classes under one banding, with ``T`` profiles each."""

    profiles: Floats
    """(24, T, 64) standardised profiles from the p telomere to the q telomere, unit vectors."""
    warp: Floats
    """(T,) squared distortion of each profile; 0 for the ideogram itself."""
    log_length: Floats
    """(24,) logarithms of the lengths relative to the haploid set of autosomes."""
    centromere: Floats
    """(24,) distance from the p telomere as a share of the length, 0..1."""
    stain: Floats
    """(24,) mean density, standardised over the autosomes."""


@lru_cache(maxsize=3)
def load_templates(banding: Banding) -> BandTemplates:
    """Return the templates of one banding, computed once per process."""
    class_ids = range(1, len(CLASS_NAMES) + 1)
    warps = list(product(_ARM_SHIFTS, _END_SHIFTS, _END_SHIFTS))
    mean = np.array([density_profile(n, _IDEOGRAM_SAMPLES, banding=banding).mean() for n in class_ids])
    warp = [
        (arm**2 + (head**2 + tail**2) / 2) / _WARP_SCALE**2
        for _ in product(_RESOLUTIONS, _BLURS)
        for arm, head, tail in warps
    ]
    return BandTemplates(
        profiles=np.stack([_profile_family(class_id, banding, warps) for class_id in class_ids]),
        warp=np.array(warp),
        log_length=np.log([relative_length(n) for n in class_ids]),
        centromere=np.array([centromere_index(n) for n in class_ids]),
        stain=(mean - mean[:22].mean()) / mean[:22].std(),
    )


def standardise(profiles: Floats) -> Floats:
    """Return ``profiles`` (..., 64) with mean 0 and norm 1, weighted by ``END_WEIGHTS``."""
    weights = END_WEIGHTS**2
    centred = (profiles - (profiles * weights).sum(axis=-1, keepdims=True) / weights.sum()) * END_WEIGHTS
    unit: Floats = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-9)
    return unit


def _profile_family(class_id: int, banding: Banding, warps: list[tuple[float, float, float]]) -> Floats:
    """Return profiles (T, 64) of one class: every resolution, blur and warp."""
    size = relative_length(class_id) / relative_length(1)
    centromere = centromere_index(class_id)
    positions = (np.arange(PROFILE_SAMPLES) + 0.5) / PROFILE_SAMPLES
    ideogram_positions = (np.arange(_IDEOGRAM_SAMPLES) + 0.5) / _IDEOGRAM_SAMPLES
    family = []
    for resolution, blur in product(_RESOLUTIONS, _BLURS):
        ideogram = density_profile(class_id, _IDEOGRAM_SAMPLES, resolution, banding).astype(np.float64)
        smooth = gaussian_filter1d(ideogram, blur / size * _IDEOGRAM_SAMPLES, mode="nearest")
        for arm, head, tail in warps:
            along = -head + positions * (1 + head + tail)
            knots = [-1.0, 0.0, np.clip(centromere + arm, 0.05, 0.95), 1.0, 2.0]
            unwarped = np.interp(along, knots, [-1.0, 0.0, centromere, 1.0, 2.0])
            family.append(np.interp(unwarped, ideogram_positions, smooth))
    return standardise(np.array(family))
