"""Size: what it says of a chromosome's class, as far as its cell keeps to the ratios of the DNA."""

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


def said(torn: dict[int, tuple[int, int]]) -> list[Prediction]:
    """A normal cell, each chromosome known but for those that could as well be either of two classes, p arm up."""
    joint = np.full((len(TRUE), len(CLASS_NAMES), 2), 1e-6)
    joint[np.arange(len(TRUE)), TRUE, 0] = 1.0
    for k, both in torn.items():
        joint[k, TRUE[k], 0] = 1e-6
        joint[k, both, 0] = 0.5
    log = np.log(joint)
    return [Prediction(one) for one in log - logsumexp(log, axis=(1, 2), keepdims=True)]


def sizes(noise: float = 0.03, condensed: float = 7.0) -> NDArray[np.float64]:
    deviation = np.random.default_rng(0).normal(0, noise, len(TRUE))
    return condensed * np.array(MEGABASES)[TRUE] * np.exp(deviation)


def test_dna_goes_with_the_length_of_the_ideogram() -> None:
    lengths = [relative_length(n + 1) for n in range(len(CLASS_NAMES))]
    assert len(MEGABASES) == len(CLASS_NAMES)
    assert np.corrcoef(np.log(MEGABASES), np.log(lengths))[0, 1] > 0.98


def test_where_bands_cannot_tell_size_does() -> None:
    found = apply_size_prior(said({0: (0, 7), 40: (20, 7)}), sizes())
    assert [one.top5[0][0] - 1 for one in found] == TRUE.tolist()
    assert found[0].top5[0][1] > 0.95


def test_the_unit_does_not_matter() -> None:
    cell = said({10: (5, 9)})
    one, other = (apply_size_prior(cell, sizes(condensed=condensed)) for condensed in (1.0, 40.0))
    assert all(np.allclose(a.joint, b.joint) for a, b in zip(one, other, strict=True))


def test_in_a_cell_of_any_sizes_they_say_little() -> None:
    cell = said({0: (0, 7)})
    kept, uneven = (apply_size_prior(cell, sizes(noise))[0].top5[0][1] for noise in (0.03, 0.6))
    assert uneven < kept


def test_one_that_is_crossed_by_another_keeps_its_bands() -> None:
    twice = sizes()
    twice[LONGEST] *= 2
    twice[2 * SHORTEST] *= 2.5
    found = apply_size_prior(said({}), twice)
    assert [one.top5[0][0] - 1 for one in found] == TRUE.tolist()


def test_the_orientation_and_what_is_no_chromosome_stay() -> None:
    cell = [Prediction(one.joint, unknown=0.25) for one in said({})]
    for before, after in zip(cell, apply_size_prior(cell, sizes()), strict=True):
        assert after.unknown == before.unknown
        assert after.p_up() > 0.99
        assert logsumexp(after.joint) == pytest.approx(0, abs=1e-9)


def test_a_few_chromosomes_do_not_tell() -> None:
    few = said({})[:9]
    assert apply_size_prior(few, sizes()[:9]) == tuple(few)
