"""What the size of a chromosome says of its class.

However condensed a cell is, the DNA of its chromosomes stands in fixed ratios, and so do, about, their areas and the
stain that they hold (Mendelsohn et al. 1973, doi 10.1126/science.179.4078.1126). The embedding network sees the size as
well, but has learned to distrust it: every chromosome was shown to it longer and shorter, paler and darker. How large
the others of the cell are, and how well they keep to the ratios, it does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from karyotyping.arrays import Floats
from karyotyping.classification.prediction import Prediction

MEGABASES = (
    249, 242, 198, 190, 182, 171, 159, 145, 138, 134, 135, 133, 114, 107, 102, 90, 83, 80, 59, 64, 47, 51, 156, 57
)  # fmt: skip
"""Of DNA in the 24 classes (GRCh38)."""
_EXPECTED: Floats = np.log(MEGABASES)
_SPREAD, _WEIGHT = 0.08, 5
"""Usual standard deviation within a cell of the log of the size beside that of the DNA, and how many chromosomes it
counts like, where a cell's own is measured."""
_FREEDOM, _FARTHEST = 4, 5.0
"""Degrees of freedom of Student's t, and most that a size speaks against a class, nats: a chromosome may be cut, or
crossed by another."""
_TRUST = 0.8
"""Weight of what the network says beside the size, of which it has seen some."""
_FEWEST = 10
"""Fewer chromosomes do not tell how large one ought to be."""
_TO_DEVIATION = 1.4826


def apply_size_prior(
    classified: Sequence[Prediction], size: Sequence[float] | NDArray[np.floating]
) -> tuple[Prediction, ...]:
    """The chromosomes of one cell, (N,) with their sizes in any unit, as bands and size together tell them.

    Of fewer than 10 chromosomes nothing is changed.
    """
    if len(classified) < _FEWEST:
        return tuple(classified)
    said = _TRUST * np.stack([one.joint for one in classified])
    said -= logsumexp(said, axis=(1, 2), keepdims=True)
    joint = said + size_log_likelihood(logsumexp(said, axis=2), np.asarray(size, np.float64))[..., None]
    joint -= logsumexp(joint, axis=(1, 2), keepdims=True)
    return tuple(replace(one, joint=ways) for one, ways in zip(classified, joint, strict=True))


def size_log_likelihood(log_probabilities: Floats, size: Floats) -> Floats:
    """(N, 24) log-likelihoods of the sizes (N,), up to a constant, in a cell whose classes are known as well as
    ``log_probabilities`` (N, 24) say."""
    measured = np.log(np.maximum(size, np.finfo(float).tiny))
    excess = measured - np.exp(log_probabilities) @ _EXPECTED
    usual = np.median(excess)
    own = _TO_DEVIATION * np.median(np.abs(excess - usual))
    spread = np.sqrt((_WEIGHT * _SPREAD**2 + len(size) * own**2) / (_WEIGHT + len(size)))
    off = (measured[:, None] - usual - _EXPECTED) / spread
    likelihood: Floats = np.maximum(-(_FREEDOM + 1) / 2 * np.log1p(off**2 / _FREEDOM), -_FARTHEST)
    return likelihood
