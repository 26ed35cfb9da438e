"""Size evidence corrects ambiguous classes in cells that keep to the ratios of the DNA."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp

from karyotyping.classification.prediction import Prediction
from karyotyping.classification.size_prior import MEGABASES, apply_size_prior
from karyotyping.nomenclature.classes import CLASS_NAMES, X, Y
from karyotyping.nomenclature.ideogram import relative_length

TRUE = np.array([n for n in range(22) for _ in range(2)] + [X - 1, Y - 1])
LONGEST, SHORTEST = 0, 20


def predictions(ambiguous: dict[int, tuple[int, int]]) -> list[Prediction]:
    """Return a normal cell p arm up; ``ambiguous`` chromosomes have two equal classes."""
    joint = np.full((len(TRUE), len(CLASS_NAMES), 2), 1e-6)
    joint[np.arange(len(TRUE)), TRUE, 0] = 1.0
    for k, both in ambiguous.items():
        joint[k, TRUE[k], 0] = 1e-6
        joint[k, both, 0] = 0.5
    log = np.log(joint)
    return [Prediction(item) for item in log - logsumexp(log, axis=(1, 2), keepdims=True)]


def sizes(noise: float = 0.03, scale: float = 7.0) -> NDArray[np.float64]:
    deviation = np.random.default_rng(0).normal(0, noise, len(TRUE))
    return scale * np.array(MEGABASES)[TRUE] * np.exp(deviation)


def test_dna_content_correlates_with_ideogram_length() -> None:
    lengths = [relative_length(n + 1) for n in range(len(CLASS_NAMES))]
    assert len(MEGABASES) == len(CLASS_NAMES)
    assert np.corrcoef(np.log(MEGABASES), np.log(lengths))[0, 1] > 0.98


def test_size_decides_between_classes_of_equal_probability() -> None:
    combined = apply_size_prior(predictions({0: (0, 7), 40: (20, 7)}), sizes())
    assert [item.top5[0][0] - 1 for item in combined] == TRUE.tolist()
    assert combined[0].top5[0][1] > 0.9


def test_the_unit_of_size_is_irrelevant() -> None:
    cell = predictions({10: (5, 9)})
    item, other = (apply_size_prior(cell, sizes(scale=scale)) for scale in (1.0, 40.0))
    assert all(np.allclose(a.joint, b.joint) for a, b in zip(item, other, strict=True))


def test_size_evidence_is_weaker_in_a_cell_of_irregular_sizes() -> None:
    cell = predictions({0: (0, 7)})
    kept, uneven = (apply_size_prior(cell, sizes(noise))[0].top5[0][1] for noise in (0.03, 0.6))
    assert uneven < kept


def test_an_overlapped_chromosome_keeps_its_class() -> None:
    overlapped = sizes()
    overlapped[LONGEST] *= 2
    overlapped[2 * SHORTEST] *= 2.5
    combined = apply_size_prior(predictions({}), overlapped)
    assert [item.top5[0][0] - 1 for item in combined] == TRUE.tolist()


def test_orientation_and_unknown_probability_are_kept() -> None:
    cell = [Prediction(item.joint, unknown=0.25) for item in predictions({})]
    for before, after in zip(cell, apply_size_prior(cell, sizes()), strict=True):
        assert after.unknown == before.unknown
        assert after.p_up() > 0.99
        assert logsumexp(after.joint) == pytest.approx(0, abs=1e-9)


def test_few_chromosomes_are_returned_unchanged() -> None:
    few = predictions({})[:9]
    assert apply_size_prior(few, sizes()[:9]) == tuple(few)
