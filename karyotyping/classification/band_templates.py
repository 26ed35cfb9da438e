"""What each class should look like, derived from the ideogram: distorted band profiles, length, centromere, stain.

No two preparations show the same profile. Blur is set by the optics and the condensation and so is a length in the
cell, not a share of the chromosome; the arms condense unequally; an outline may lie inside or outside the telomeres.
Each class is therefore a family of profiles, and a chromosome is compared with all of them.
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

_FINE = 512
_RESOLUTIONS: tuple[Resolution, ...] = (400, 550)
_BLURS = (0.013, 0.02, 0.032)
"""Standard deviations of the blur along the axis, as shares of chromosome 1's length."""
_ARM_SHIFTS = (-0.06, -0.03, 0.0, 0.03, 0.06)
"""How far unequal condensation moves the centromere, as a share of the length."""
_END_SHIFTS = (-0.03, 0.0, 0.03)
"""How far the outline may end beyond (positive) or before the telomeres, as a share of the length."""
_WARP_SCALE = 0.06

END_WEIGHTS: Floats = np.sqrt(np.clip((np.minimum(np.arange(64), 63 - np.arange(64)) + 0.5) / 3.0, 0.15, 1.0))
"""(64,) roots of the weights of the samples: the outermost are shaped by the outline more than by the bands."""


@dataclass(frozen=True, slots=True)
class BandTemplates:
    """The 24 classes under one banding; ``T`` profiles for each."""

    profiles: Floats
    """(24, T, 64) standardised profiles from the p telomere to the q telomere, unit vectors."""
    warp: Floats
    """(T,) how distorted each is; 0 for the ideogram itself."""
    log_length: Floats
    """(24,) logarithms of the lengths relative to the haploid set of autosomes."""
    centromere: Floats
    """(24,) position from the p telomere."""
    stain: Floats
    """(24,) mean density, standardised over the classes of a normal cell."""


@lru_cache(maxsize=3)
def load_templates(banding: Banding) -> BandTemplates:
    """The reference of one banding; made once per process."""
    class_ids = range(1, len(CLASS_NAMES) + 1)
    warps = list(product(_ARM_SHIFTS, _END_SHIFTS, _END_SHIFTS))
    mean = np.array([density_profile(n, _FINE, banding=banding).mean() for n in class_ids])
    warp = [
        (arm**2 + (head**2 + tail**2) / 2) / _WARP_SCALE**2
        for _ in product(_RESOLUTIONS, _BLURS)
        for arm, head, tail in warps
    ]
    return BandTemplates(
        profiles=np.stack([_family(class_id, banding, warps) for class_id in class_ids]),
        warp=np.array(warp),
        log_length=np.log([relative_length(n) for n in class_ids]),
        centromere=np.array([centromere_index(n) for n in class_ids]),
        stain=(mean - mean[:22].mean()) / mean[:22].std(),
    )


def standardise(profiles: Floats) -> Floats:
    """``profiles`` (..., 64) with weighted mean 0 and length 1, the ends weighted down."""
    weights = END_WEIGHTS**2
    centred = (profiles - (profiles * weights).sum(axis=-1, keepdims=True) / weights.sum()) * END_WEIGHTS
    unit: Floats = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-9)
    return unit


def _family(class_id: int, banding: Banding, warps: list[tuple[float, float, float]]) -> Floats:
    """(T, 64) profiles of one class: every resolution, blur and warp."""
    size = relative_length(class_id) / relative_length(1)
    centromere = centromere_index(class_id)
    places = (np.arange(PROFILE_SAMPLES) + 0.5) / PROFILE_SAMPLES
    centres = (np.arange(_FINE) + 0.5) / _FINE
    family = []
    for resolution, blur in product(_RESOLUTIONS, _BLURS):
        fine = density_profile(class_id, _FINE, resolution, banding).astype(np.float64)
        smooth = gaussian_filter1d(fine, blur / size * _FINE, mode="nearest")
        for arm, head, tail in warps:
            along = -head + places * (1 + head + tail)
            knots = [-1.0, 0.0, np.clip(centromere + arm, 0.05, 0.95), 1.0, 2.0]
            family.append(np.interp(np.interp(along, knots, [-1.0, 0.0, centromere, 1.0, 2.0]), centres, smooth))
    return standardise(np.array(family))
