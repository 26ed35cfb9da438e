"""Classification by bands and shape against the ideogram, without a network.

The band profile is compared, in both orientations, with the templates of every class. Expected length, constriction and
mean stain of the class are further evidence. The other chromosomes of the cell give the scale of length and stain. Each
chromosome is predicted on its own; :mod:`karyotyping.classification.assignment` then assigns the whole cell.
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
from karyotyping.nomenclature.classes import CLASS_COUNT
from karyotyping.nomenclature.ideogram import Banding


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the kinds of evidence, fitted by maximum likelihood to cells of known classes."""

    bands: float
    """Weight of -log(1 - r²), r the best correlation with a profile: a Gaussian likelihood of unknown noise."""
    bands_by_length: float
    """Additional weight of the bands for each unit of length relative to chromosome 1."""
    length: float
    """Weight of the squared error of the log relative length."""
    centromere: float
    """Weight of the log constriction at the class's centromere, relative to the deepest constriction."""
    stain: float
    """Weight of the squared error of the mean stain, in standard deviations between the classes."""


WEIGHTS: dict[Banding, Weights] = {
    "G": Weights(bands=0.7, bands_by_length=5.5, length=110.0, centromere=1.0, stain=0.05),
    "Q": Weights(bands=0.9, bands_by_length=2.8, length=100.0, centromere=1.0, stain=0.05),
    "DAPI": Weights(bands=0.3, bands_by_length=1.6, length=60.0, centromere=1.0, stain=0.02),
}
BANDINGS: dict[ContrastPolarity, tuple[Banding, ...]] = {"dark_on_light": ("G",), "light_on_dark": ("DAPI", "Q")}
"""Candidate bandings of a contrast polarity; the one of highest likelihood is chosen."""

_WARP_COST = 0.03  # nats for each unit of squared distortion of a template
_MAX_LENGTH_ERROR = 0.5  # of the log relative length
_MAX_STAIN_ERROR = 3.0  # standard deviations
_CONSTRICTION_SIGMA = 0.045  # position tolerance of the centromere, share of the length
_CONSTRICTION_FLOOR = 0.03  # added to depths before the logarithm
_SCALES = np.exp(np.linspace(-0.25, 0.15, 15))  # candidate scales of the cell's lengths
_LENGTH_OFFSETS = (0.0, 0.002, 0.004, 0.007)  # length added by blur and outline, share of the haploid set
_MIN_CHROMOSOMES = 10  # of a cell; fewer give no scale of length and stain


def classify(measured: Sequence[Measurement], contrast: ContrastPolarity | None = None) -> tuple[Prediction, ...]:
    """Predict class and orientation of each chromosome of one cell.

    For fewer than 10 chromosomes only bands and centromeres are evidence.

    Args:
        measured: (N,) the chromosomes of the cell.
        contrast: polarity of the image, which limits the candidate bandings; None for all bandings.
    """
    if not measured:
        return ()
    candidates = [name for polarity, names in BANDINGS.items() if contrast in (None, polarity) for name in names]
    evidence = {banding: _band_evidence(measured, load_templates(banding)) for banding in candidates}
    common = WEIGHTS["DAPI"]  # the same weights for all bandings make their likelihoods comparable
    banding = max(
        candidates, key=lambda name: _cell_likelihood(_joint(measured, load_templates(name), common, evidence[name]))
    )
    joint = _joint(measured, load_templates(banding), WEIGHTS[banding], evidence[banding])
    flat = log_softmax(joint.reshape(len(measured), -1), axis=1)
    return tuple(Prediction(item) for item in flat.reshape(joint.shape))


def _joint(measured: Sequence[Measurement], templates: BandTemplates, weights: Weights, bands: Floats) -> Floats:
    """Return log-likelihoods (N, 24, 2), up to a constant for each chromosome."""
    likelihood = weights.centromere * _centromere_evidence(measured, templates)
    if len(measured) < _MIN_CHROMOSOMES:
        return likelihood + (weights.bands + weights.bands_by_length / 2) * bands
    lengths = np.array([item.length for item in measured])
    typical = float(np.median(lengths)) / float(np.median(np.exp(templates.log_length[:22])))
    size = np.minimum(lengths / typical / np.exp(templates.log_length[0]), 1.2)
    likelihood += (weights.bands + weights.bands_by_length * size)[:, None, None] * bands
    stain = np.array([float(item.density.mean()) for item in measured])
    deviation = stain - np.median(stain)
    deviation /= 1.4826 * np.median(np.abs(deviation)) + 1e-6
    error = np.minimum(np.abs(deviation[:, None] - templates.stain), _MAX_STAIN_ERROR)
    likelihood -= (weights.stain * error**2)[..., None]
    return max(
        (
            likelihood - weights.length * _length_error(lengths / (typical * scale), templates, offset)[..., None]
            for scale, offset in product(_SCALES, _LENGTH_OFFSETS)
        ),
        key=_cell_likelihood,
    )


def _cell_likelihood(joint: Floats) -> float:
    """Return the log-likelihood of a cell, marginal over classes and orientations (N, 24, 2)."""
    return float(logsumexp(joint, axis=(1, 2)).sum())


def _band_evidence(measured: Sequence[Measurement], templates: BandTemplates) -> Floats:
    """Return -log(1 - r²) (N, 24, 2) of the best profile of each class, less its warp cost."""
    profiles = np.stack([item.density for item in measured]).astype(np.float64)
    family = templates.profiles.reshape(-1, PROFILE_SAMPLES)
    evidence = []
    for oriented in (profiles, profiles[:, ::-1]):
        r = np.clip(standardise(oriented) @ family.T, 0.0, 0.995).reshape(len(measured), CLASS_COUNT, -1)
        evidence.append((-np.log1p(-(r**2)) - _WARP_COST * templates.warp).max(axis=-1))
    return np.stack(evidence, axis=-1)


def _centromere_evidence(measured: Sequence[Measurement], templates: BandTemplates) -> Floats:
    """Return the log constriction (N, 24, 2) at the expected centromere over the deepest one."""
    constriction = np.stack([item.constriction for item in measured]).astype(np.float64)
    positions = (np.arange(PROFILE_SAMPLES) + 0.5) / PROFILE_SAMPLES
    expected = np.stack([templates.centromere, 1.0 - templates.centromere], axis=1)
    window = np.exp(-0.5 * ((positions - expected[..., None]) / _CONSTRICTION_SIGMA) ** 2)
    at_centromere = (constriction[:, None, None, :] * window).max(axis=-1)
    deepest = constriction.max(axis=1)[:, None, None]
    evidence: Floats = np.log((at_centromere + _CONSTRICTION_FLOOR) / (deepest + _CONSTRICTION_FLOOR))
    return evidence


def _length_error(relative: Floats, templates: BandTemplates, offset: float) -> Floats:
    """Return squared errors (N, 24) of the log ``relative`` lengths (N,) for each class."""
    error = np.log(relative)[:, None] - np.log(np.exp(templates.log_length) + offset)
    squared: Floats = np.minimum(np.abs(error), _MAX_LENGTH_ERROR) ** 2
    return squared
