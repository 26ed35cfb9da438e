"""Size evidence: log-likelihood of each class given the sizes of all chromosomes of a cell.

The DNA content of the classes has fixed ratios, whatever the condensation of the cell. The areas and the summed stain
of its chromosomes keep approximately to these ratios (Mendelsohn et al. 1973, DOI 10.1126/science.179.4078.1126). The
embedding network sees the size of a chromosome but was trained with random rescaling and staining. It sees neither the
sizes of the cell's other chromosomes nor how well they keep to the ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from karyotyping.arrays import Floats
from karyotyping.classification.prediction import Prediction

MEGABASES = (
    249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51, 156, 57
)  # fmt: skip
"""DNA content of the 24 classes (GRCh38), megabases."""
_EXPECTED: Floats = np.log(MEGABASES)
_PRIOR_SPREAD = 0.08  # standard deviation, within a cell, of the log size given the class
_PRIOR_WEIGHT = 5  # chromosomes that the prior spread counts for against the cell's own spread
_DEGREES_OF_FREEDOM = 4  # of Student's t
_MAX_PENALTY = 5.0  # nats; bounded because a chromosome may be cut or overlapped
_NETWORK_WEIGHT = 0.8  # of the network's log-probabilities, which already reflect some of the size
_SIZE_WEIGHT = 0.5  # of the size evidence of a prediction; chromosomes in contacts are often cut or too large
_MIN_CHROMOSOMES = 10  # of a cell; the sizes of fewer are not informative
_MAD_TO_DEVIATION = 1.4826  # median absolute deviation to standard deviation of a Gaussian


def apply_size_prior(
    predictions: Sequence[Prediction], size: Sequence[float] | NDArray[np.floating]
) -> tuple[Prediction, ...]:
    """Combine the predictions for the chromosomes of one cell with the evidence of their sizes.

    Predictions for fewer than 10 chromosomes are returned unchanged.

    Args:
        predictions: (N,) predictions of the network.
        size: (N,) sizes in any unit.
    """
    if len(predictions) < _MIN_CHROMOSOMES:
        return tuple(predictions)
    network = logsumexp(_weighted(predictions), axis=2)
    return apply_sizes(predictions, size, CellSizes.of(network, np.asarray(size, np.float64)))


def apply_sizes(
    predictions: Sequence[Prediction], size: Sequence[float] | NDArray[np.floating], cell: CellSizes
) -> tuple[Prediction, ...]:
    """Combine predictions with the evidence of sizes in a cell.

    Args:
        predictions: (N,) predictions of the network.
        size: (N,) sizes in the unit of those of the cell.
        cell: sizes of the cell.
    """
    evidence = _SIZE_WEIGHT * cell.log_likelihood(np.asarray(size, np.float64))
    joint = _weighted(predictions) + evidence[..., None]
    joint -= logsumexp(joint, axis=(1, 2), keepdims=True)
    return tuple(replace(item, joint=values) for item, values in zip(predictions, joint, strict=True))


def _weighted(predictions: Sequence[Prediction]) -> Floats:
    """Return the log-probabilities (N, 24, 2) of the network that its weight leaves."""
    weighted = _NETWORK_WEIGHT * np.stack([item.joint for item in predictions])
    normalised: Floats = weighted - logsumexp(weighted, axis=(1, 2), keepdims=True)
    return normalised


@dataclass(frozen=True, slots=True)
class CellSizes:
    """How the sizes of one cell's chromosomes follow from their DNA content."""

    scale: float
    """Logarithm of the size of one megabase."""
    spread: float
    """Standard deviation of the log size given the class."""

    @classmethod
    def of(cls, log_probabilities: Floats, size: Floats) -> CellSizes:
        """Measure a cell.

        Args:
            log_probabilities: (N, 24) classes of the cell's chromosomes.
            size: (N,) their sizes in any unit.
        """
        excess = _log(size) - np.exp(log_probabilities) @ _EXPECTED
        scale = float(np.median(excess))
        cell_spread = _MAD_TO_DEVIATION * float(np.median(np.abs(excess - scale)))
        weights = _PRIOR_WEIGHT + len(size)
        spread = np.sqrt((_PRIOR_WEIGHT * _PRIOR_SPREAD**2 + len(size) * cell_spread**2) / weights)
        return cls(scale, float(spread))

    def log_likelihood(self, size: Floats) -> Floats:
        """Return log-likelihoods (N, 24) of sizes (N,) for each class, -5..0."""
        error = (_log(size)[:, None] - self.scale - _EXPECTED) / self.spread
        student_t = -(_DEGREES_OF_FREEDOM + 1) / 2 * np.log1p(error**2 / _DEGREES_OF_FREEDOM)
        likelihood: Floats = np.maximum(student_t, -_MAX_PENALTY)
        return likelihood


def class_evidence(log_probabilities: Floats, size: Floats, cell: CellSizes) -> Floats:
    """Return the log evidence (N, 24) of the network and of the sizes together, at most 0.

    Args:
        log_probabilities: (N, 24) classes by the network.
        size: (N,) in any unit.
        cell: sizes of the cell.
    """
    evidence: Floats = _NETWORK_WEIGHT * log_probabilities + cell.log_likelihood(size)
    return evidence


def _log(size: Floats) -> Floats:
    logarithm: Floats = np.log(np.maximum(size, np.finfo(float).tiny))
    return logarithm
