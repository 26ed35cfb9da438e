"""Band level of a cell: how many bands of a haploid set its image resolves, in ISCN terms.

The profile of each named chromosome is compared with the ideograms of the 400, 550 and 850 levels, each blurred along
the axis by several amounts. All chromosomes of a cell share ideogram and blur. The best fit says how many bands of the
24 classes differ from their neighbours. A level is reached when as many bands are resolved as a preparation of that
level shows under usual optics: longer chromosomes, so less blur for their length.

The level says what can be seen in the image. It is never part of the karyotype.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks
from scipy.special import softmax

from karyotyping.arrays import Floats, Floats32
from karyotyping.chromosome.measure import Measurement, density_along
from karyotyping.classification.band_matching import BANDINGS, WEIGHTS
from karyotyping.model import Chromosome, Quality
from karyotyping.nomenclature.classes import CLASS_COUNT
from karyotyping.nomenclature.ideogram import RESOLUTIONS, Banding, centromere_index, density_profile, relative_length

MIN_CHROMOSOMES = 12  # named, whole and free ones of a cell; fewer make no estimate
MIN_AGREEMENT = 0.6  # median correlation of the profiles with the best ideogram, 0..1; below it nothing is banded
MIN_LEVEL = 230  # bands per haploid set; unbanded chromosomes come to at most 220

_SAMPLES = 160  # of a profile; chromosome 1 of a fine preparation has as many pixels
_IDEOGRAM_SAMPLES = 640  # of an ideogram's profile
_BLURS = tuple(np.geomspace(0.005, 0.04, 16))  # standard deviations, shares of the length of chromosome 1
_ARM_SHIFTS = (-0.06, -0.03, 0.0, 0.03, 0.06)  # displacement of the centromere by condensation, share of the length
_END_SHIFTS = (-0.03, 0.0, 0.03)  # outline beyond (> 0) or before the telomeres, share of the length
_WARPS = tuple(product(_ARM_SHIFTS, _END_SHIFTS))
_WARP_COST = 0.03 / 0.06**2  # nats for each unit of squared shift
_END_SAMPLES = 8  # at each end, where the outline matters more than the bands
_VISIBLE = 0.03  # least difference of a band from its neighbours, share of the range of stain, 0..1
_REFERENCE_BLUR = 0.0195  # at the 400 level, share of chromosome 1, fitted to simulated cells; less where it is longer
_UNFIT = frozenset({"overlapped", "cut_by_border", "uncertain"})  # flags of chromosomes whose profile is not their own
_MIN_SCORE = 0.5  # class and outline of a chromosome that is used, 0..1
_RESAMPLES = 200  # of the chromosomes of a cell, for the interval
_MODEL_ERROR = 0.12  # standard deviation of the log level between simulated cells of one level
_INTERVAL_WIDTH = 1.645  # standard deviations on each side of an interval of 90 %


@dataclass(frozen=True, slots=True)
class BandLevel:
    """Bands per haploid set that a cell resolves."""

    level: int
    low: int
    """Lower end of the interval of 90 %."""
    high: int
    """Upper end."""


def add_band_level(quality: Quality, chromosomes: Sequence[Chromosome], measured: Sequence[Measurement]) -> Quality:
    """Return ``quality`` with the band level of its cell, if it is known.

    Args:
        quality: of the cell.
        chromosomes: (N,) its chromosomes, longest first.
        measured: (N,) their measurements, in any order.
    """
    longest_first = sorted(measured, key=lambda one: -one.length)
    found = measure_band_level(chromosomes, longest_first, BANDINGS[quality.contrast_polarity])
    if found is None:
        return quality
    return replace(quality, band_level=found.level, band_level_low=found.low, band_level_high=found.high)


def measure_band_level(
    chromosomes: Sequence[Chromosome], measured: Sequence[Measurement], bandings: Sequence[Banding]
) -> BandLevel | None:
    """Return the band level of a cell; None for few usable chromosomes or no banding.

    The interval covers which chromosomes were found, and the error of the model between cells.

    Args:
        chromosomes: (N,) the chromosomes of the cell.
        measured: (N,) their measurements.
        bandings: candidates, of which the best one is taken.
    """
    usable = [pair for pair in zip(chromosomes, measured, strict=True) if _is_usable(pair[0])]
    if len(usable) < MIN_CHROMOSOMES:
        return None
    fits = {banding: np.stack([_correlations(*pair, banding) for pair in usable]) for banding in bandings}
    banding = max(fits, key=lambda name: float(fits[name].max(axis=(1, 2)).sum()))
    best = fits[banding]
    if float(np.median(best.max(axis=(1, 2)))) < MIN_AGREEMENT:
        return None
    sizes = np.array([relative_length(one.class_id or 1) / relative_length(1) for one, _ in usable])
    weights = WEIGHTS[banding].bands + WEIGHTS[banding].bands_by_length * sizes
    evidence = (-np.log1p(-(best**2)) * weights[:, None, None]).reshape(len(usable), -1)
    draws = np.random.default_rng(0).multinomial(len(usable), np.full(len(usable), 1 / len(usable)), _RESAMPLES)
    levels = softmax(draws @ evidence, axis=1) @ _levels(banding).ravel()
    level = float(np.median(levels))
    if level < MIN_LEVEL:
        return None
    error = _INTERVAL_WIDTH * float(np.hypot(np.log(levels).std(), _MODEL_ERROR))
    low, middle, high = (10 * round(level * float(np.exp(place * error)) / 10) for place in (-1, 0, 1))
    return BandLevel(middle, low, high)


def _is_usable(chromosome: Chromosome) -> bool:
    named = chromosome.class_id is not None and chromosome.class_score >= _MIN_SCORE
    return named and chromosome.score >= _MIN_SCORE and not _UNFIT & chromosome.flags


def _correlations(chromosome: Chromosome, measured: Measurement, banding: Banding) -> Floats:
    """Return the correlations (3, B), 0..1, with each ideogram and blur, the warp paid for."""
    profiles = _profiles(chromosome.class_id or 1, banding)
    own = density_along(measured, _SAMPLES)
    oriented = {"p_up": [own], "p_down": [own[::-1]], "unknown": [own, own[::-1]]}[chromosome.orientation]
    r = np.clip(np.stack([profiles @ _standardise(one) for one in oriented]), 0.0, 0.995)
    paid = 1 - (1 - r**2) * np.exp(_warp_costs())
    best: Floats = np.sqrt(np.clip(paid, 0.0, None)).max(axis=(0, -1)).astype(np.float64)
    return best


@lru_cache(maxsize=1)
def _warp_costs() -> Floats:
    return np.array([_WARP_COST * (arm**2 + end**2) for arm, end in _WARPS])


@lru_cache(maxsize=3 * CLASS_COUNT)
def _profiles(class_id: int, banding: Banding) -> Floats32:
    """Return standardised profiles (3, B, W, 160) of a class: every level, blur and warp."""
    centromere = centromere_index(class_id)
    positions = (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    ideogram_positions = (np.arange(_IDEOGRAM_SAMPLES) + 0.5) / _IDEOGRAM_SAMPLES
    along = []
    for arm, end in _WARPS:
        knots = [-1.0, 0.0, np.clip(centromere + arm, 0.05, 0.95), 1.0, 2.0]
        along.append(np.interp(-end + positions * (1 + 2 * end), knots, [-1.0, 0.0, centromere, 1.0, 2.0]))
    family = [np.interp(along, ideogram_positions, profile) for profile in _blurred(class_id, banding)]
    shape = len(RESOLUTIONS), len(_BLURS), len(_WARPS), _SAMPLES
    return _standardise(np.array(family).reshape(shape)).astype(np.float32)


def _blurred(class_id: int, banding: Banding) -> Iterator[Floats]:
    """Yield the profile of every level and blur."""
    size = relative_length(class_id) / relative_length(1)
    for level in RESOLUTIONS:
        ideogram = density_profile(class_id, _IDEOGRAM_SAMPLES, level, banding).astype(np.float64)
        for blur in _BLURS:
            yield gaussian_filter1d(ideogram, blur / size * _IDEOGRAM_SAMPLES, mode="nearest")


@lru_cache(maxsize=3)
def _levels(banding: Banding) -> Floats:
    """Return the band level (3, B) that every ideogram and blur comes to."""
    resolved = np.zeros(len(RESOLUTIONS) * len(_BLURS))
    for class_id in range(1, CLASS_COUNT + 1):
        resolved += [_count_bands(profile) for profile in _blurred(class_id, banding)]
    counts = resolved.reshape(len(RESOLUTIONS), -1)
    references = [
        float(np.interp(np.log(_REFERENCE_BLUR * 400 / level), np.log(_BLURS), row))
        for level, row in zip(RESOLUTIONS, counts, strict=True)
    ]
    reached = np.interp(counts, [0.0, *references], [0.0, *RESOLUTIONS])
    capped: Floats = np.minimum(reached, np.array(RESOLUTIONS)[:, None])  # an ideogram has no more bands than its level
    return capped


def _count_bands(profile: Floats) -> int:
    """Return the bands of a profile (n,) that differ from their neighbours.

    >>> _count_bands(np.array([0.0, 1.0, 0.5, 0.51, 0.5, 1.0, 0.0]))
    5
    """
    ends = [-1.0], [-1.0]
    dark = find_peaks(np.concatenate([ends[0], profile, ends[1]]), prominence=_VISIBLE)[0]
    pale = find_peaks(np.concatenate([[-2.0], -profile, [-2.0]]), prominence=_VISIBLE)[0]
    return len(dark) + len(pale)


def _standardise(profiles: Floats | Floats32) -> Floats:
    """Return ``profiles`` (..., 160) with mean 0 and norm 1; their ends count less."""
    places = np.arange(_SAMPLES)
    weights = np.clip((np.minimum(places, places[::-1]) + 0.5) / _END_SAMPLES, 0.15, 1.0)
    centred = (profiles - (profiles * weights).sum(axis=-1, keepdims=True) / weights.sum()) * np.sqrt(weights)
    unit: Floats = centred / np.maximum(np.linalg.norm(centred, axis=-1, keepdims=True), 1e-9)
    return unit
