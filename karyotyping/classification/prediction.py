"""What one chromosome is, seen for itself: the answer of every classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from karyotyping.arrays import Floats
from karyotyping.model import Orientation

P_UP, P_DOWN = 0, 1
_SURE = 0.75
"""Probability from which an orientation is stated."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one chromosome is, if it is a chromosome, and how sure that is."""

    joint: Floats
    """(24, 2) log-probabilities of class and orientation: upper end is the p arm's, upper end is the q arm's."""
    unknown: float = 0.0
    """Probability that it is no whole chromosome of any class: a merged pair, a piece, debris, a marker."""
    embedding: NDArray[np.float32] | None = None
    """(D,) unit vector of the chromosome p arm up, if a network made one."""

    @property
    def log_probabilities(self) -> Floats:
        """(24,) of the classes."""
        classes: Floats = logsumexp(self.joint, axis=1)
        return classes

    @property
    def top5(self) -> tuple[tuple[int, float], ...]:
        """The five likeliest class ids with their probabilities, best first."""
        probabilities = np.exp(self.log_probabilities)
        return tuple((int(i) + 1, float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:5])

    def p_up(self, class_id: int | None = None) -> float:
        """Probability that the upper end is the p arm's, given the class if it is known."""
        ways = self.joint[class_id - 1] if class_id is not None else logsumexp(self.joint, axis=0)
        return float(np.exp(ways[P_UP] - logsumexp(ways)))

    def orientation(self, class_id: int | None = None) -> Orientation:
        """How the chromosome stands, if that is clear."""
        p_up = self.p_up(class_id)
        return "p_up" if p_up >= _SURE else "p_down" if p_up <= 1 - _SURE else "unknown"
