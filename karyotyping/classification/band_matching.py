"""Which of the 24 classes a chromosome is, and which way up, from its bands and its shape; no network is needed.

The band profile is compared, both ways up, with the ideogram of every class at several resolutions, blurs,
condensations of the arms and positions of the ends. What a class predicts of the length, of the place of the
constriction and of the mean stain is weighed in. All chromosomes of a cell are looked at together, as only the others
tell how long and how dark a chromosome ought to be; but each is classified for itself:
:mod:`karyotyping.classification.assignment` then weighs them against each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import log_softmax, logsumexp

from karyotyping.arrays import Floats
from karyotyping.chromosome.measure import PROFILE_SAMPLES, Measurement
from karyotyping.classification.band_templates import BandTemplates, load_templates, standardise
from karyotyping.classification.prediction import Prediction
from karyotyping.model import ContrastPolarity
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.ideogram import Banding

CLASSES = len(CLASS_NAMES)


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each kind of evidence counts, fitted by maximum likelihood to cells whose classes are known."""

    bands: float
    """Of -log(1 - r²), r the best correlation with a profile of the class: a Gaussian likelihood of unknown noise."""
    bands_by_length: float
    """The same, more for each unit of length relative to chromosome 1: long chromosomes show more bands."""
    length: float
    """Of the squared deviation of the logarithm of the relative length."""
    centromere: float
    """Of the logarithm of the constriction where the class has its centromere, relative to the deepest one."""
    stain: float
    """Of the squared deviation of the mean stain, in standard deviations between the classes."""


WEIGHTS: dict[Banding, Weights] = {
    "G": Weights(bands=0.7, bands_by_length=5.5, length=110.0, centromere=1.0, stain=0.05),
    "Q": Weights(bands=0.9, bands_by_length=2.8, length=100.0, centromere=1.0, stain=0.05),
    "DAPI": Weights(bands=0.3, bands_by_length=1.6, length=60.0, centromere=1.0, stain=0.02),
}
BANDINGS: dict[ContrastPolarity, tuple[Banding, ...]] = {"dark_on_light": ("G",), "light_on_dark": ("DAPI", "Q")}
"""What a contrast polarity can be; of several, the one that explains the cell best is taken."""

_WARP_COST = 0.03
_LARGEST_LENGTH_ERROR = 0.5
_LARGEST_STAIN_ERROR = 3.0
_CONSTRICTION_SIGMA = 0.045
_CONSTRICTION_FLOOR = 0.03
_SCALES = np.exp(np.linspace(-0.25, 0.15, 15))
_LENGTH_OFFSETS = (0.0, 0.002, 0.004, 0.007)
"""What blur and outline add to every length, as shares of the haploid set: it makes short ones look too long."""
_FEWEST_IN_A_CELL = 10
"""Fewer chromosomes do not tell what length or stain is usual in their cell; bands and centromere must do."""


def classify(measured: Sequence[Measurement], contrast: ContrastPolarity | None = None) -> tuple[Prediction, ...]:
    """Classify the chromosomes of one cell, each for itself.

    Args:
        measured: the chromosomes of the cell. Of fewer than 10 only bands and centromeres are judged.
        contrast: what the image was, as it tells G-banding from Q-banding and DAPI; all are tried if None.
    """
    if not measured:
        return ()
    candidates = [name for polarity, names in BANDINGS.items() if contrast in (None, polarity) for name in names]
    evidence = {banding: _band_evidence(measured, load_templates(banding)) for banding in candidates}
    cautious = WEIGHTS["DAPI"]  # bandings can only be compared by one and the same measure
    banding = max(candidates, key=lambda name: _total(_joint(measured, load_templates(name), cautious, evidence[name])))
    joint = _joint(measured, load_templates(banding), WEIGHTS[banding], evidence[banding])
    flat = log_softmax(joint.reshape(len(measured), -1), axis=1)
    return tuple(Prediction(ways) for ways in flat.reshape(joint.shape))


def _joint(measured: Sequence[Measurement], known: BandTemplates, weights: Weights, bands: Floats) -> Floats:
    """(N, 24, 2) log-likelihoods, up to a constant for each chromosome."""
    likelihood = weights.centromere * _centromere_evidence(measured, known)
    if len(measured) < _FEWEST_IN_A_CELL:
        return likelihood + (weights.bands + weights.bands_by_length / 2) * bands
    lengths = np.array([item.length for item in measured])
    typical = float(np.median(lengths)) / float(np.median(np.exp(known.log_length[:22])))
    size = np.minimum(lengths / typical / np.exp(known.log_length[0]), 1.2)
    likelihood += (weights.bands + weights.bands_by_length * size)[:, None, None] * bands
    stain = np.array([float(item.density.mean()) for item in measured])
    deviation = stain - np.median(stain)
    deviation /= 1.4826 * np.median(np.abs(deviation)) + 1e-6
    error = np.minimum(np.abs(deviation[:, None] - known.stain), _LARGEST_STAIN_ERROR)
    likelihood -= (weights.stain * error**2)[..., None]
    return max(
        (
            likelihood - weights.length * _length_error(lengths / (typical * scale), known, offset)[..., None]
            for scale, offset in product(_SCALES, _LENGTH_OFFSETS)
        ),
        key=_total,
    )


def _total(joint: Floats) -> float:
    """Log-likelihood of the cell, whatever its classes are."""
    return float(logsumexp(joint, axis=(1, 2)).sum())


def _band_evidence(measured: Sequence[Measurement], known: BandTemplates) -> Floats:
    """(N, 24, 2) -log(1 - r²) of the best profile of each class, less what its distortion costs."""
    profiles = np.stack([item.density for item in measured]).astype(np.float64)
    family = known.profiles.reshape(-1, PROFILE_SAMPLES)
    evidence = []
    for upright in (profiles, profiles[:, ::-1]):
        r = np.clip(standardise(upright) @ family.T, 0.0, 0.995).reshape(len(measured), CLASSES, -1)
        evidence.append((-np.log1p(-(r**2)) - _WARP_COST * known.warp).max(axis=-1))
    return np.stack(evidence, axis=-1)


def _centromere_evidence(measured: Sequence[Measurement], known: BandTemplates) -> Floats:
    """(N, 24, 2) how deep the constriction is where the centromere should be, relative to the deepest anywhere."""
    pinched = np.stack([item.constriction for item in measured]).astype(np.float64)
    places = (np.arange(PROFILE_SAMPLES) + 0.5) / PROFILE_SAMPLES
    expected = np.stack([known.centromere, 1.0 - known.centromere], axis=1)
    window = np.exp(-0.5 * ((places - expected[..., None]) / _CONSTRICTION_SIGMA) ** 2)
    there = (pinched[:, None, None, :] * window).max(axis=-1)
    deepest = pinched.max(axis=1)[:, None, None]
    evidence: Floats = np.log((there + _CONSTRICTION_FLOOR) / (deepest + _CONSTRICTION_FLOOR))
    return evidence


def _length_error(relative: Floats, known: BandTemplates, offset: float) -> Floats:
    """(N, 24) squared deviation of the logarithms of ``relative`` lengths (N,) from those of the classes."""
    error = np.log(relative)[:, None] - np.log(np.exp(known.log_length) + offset)
    squared: Floats = np.minimum(np.abs(error), _LARGEST_LENGTH_ERROR) ** 2
    return squared
