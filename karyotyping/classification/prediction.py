"""Prediction for one chromosome without its cell: the result of every classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Floats, Floats32
from karyotyping.model import Orientation

P_UP, P_DOWN = 0, 1  # indices of the orientation: the upper end is that of the p arm, or of the q arm
_MIN_ORIENTATION_PROBABILITY = 0.75  # 0.5..1; below it the orientation is unknown


@dataclass(frozen=True, slots=True)
class Prediction:
    """Class and orientation of one chromosome, and whether it is a whole chromosome."""

    joint: Floats
    """(24, 2) log-probabilities of class and orientation (``P_UP``, ``P_DOWN``)."""
    unknown: float = 0.0
    """Probability that it is not one whole chromosome of a class: a merged pair, a fragment, debris, a marker."""
    embedding: Floats32 | None = None
    """(D,) unit vector of the chromosome p arm up, or None without a network."""

    @property
    def log_probabilities(self) -> Floats:
        """(24,) log-probabilities of the classes."""
        classes: Floats = np.logaddexp(self.joint[:, P_UP], self.joint[:, P_DOWN])
        return classes

    @property
    def top5(self) -> tuple[tuple[int, float], ...]:
        """The five most probable class ids with their probabilities, best first."""
        probabilities = np.exp(self.log_probabilities)
        return tuple((int(i) + 1, float(probabilities[i])) for i in np.argsort(-probabilities, kind="stable")[:5])

    def p_up(self, class_id: int | None = None) -> float:
        """Return the probability that the p arm is up, given the class unless it is None.

        >>> Prediction(np.log([[0.75, 0.25]])).p_up(1)
        0.75
        """
        orientations = self.joint[class_id - 1] if class_id is not None else np.logaddexp.reduce(self.joint, axis=0)
        return float(np.exp(orientations[P_UP] - np.logaddexp(*orientations)))

    def orientation(self, class_id: int | None = None) -> Orientation:
        """Return the orientation if its probability is at least 0.75, else ``unknown``."""
        p_up = self.p_up(class_id)
        if p_up >= _MIN_ORIENTATION_PROBABILITY:
            return "p_up"
        return "p_down" if p_up <= 1 - _MIN_ORIENTATION_PROBABILITY else "unknown"
