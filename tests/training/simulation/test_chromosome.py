"""Drawn chromosomes have the size, stain and centromere of their class."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.nomenclature.ideogram import centromere_index
from training.simulation.appearance import Appearance, draw_values
from training.simulation.chromosome import chromosome_length, draw_chromosome


@pytest.mark.parametrize("class_id", range(1, 25))
def test_patch_is_tight_and_its_body_is_stained(class_id: int) -> None:
    patch = draw_chromosome(class_id, np.random.default_rng(class_id))
    assert patch.stain.shape == patch.mask.shape
    assert patch.stain[patch.mask].min() > 0
    assert patch.stain[patch.mask].sum() > 0.9 * patch.stain.sum()
    assert (patch.stain[0] > 0).any()
    assert (patch.stain[:, -1] > 0).any()


def test_axis_runs_from_the_p_telomere_in_the_given_direction() -> None:
    straight = Appearance(bend=(0, 0), kink=(0, 0), length_jitter=(0, 0), width_jitter=(0, 0))
    rng = np.random.default_rng(0)
    cell = draw_values(straight, rng)
    patch = draw_chromosome(4, rng, cell=cell, angle=np.pi / 2)
    assert patch.axis[-1, 1] - patch.axis[0, 1] == pytest.approx(chromosome_length(4, cell["first_length"]), rel=0.02)
    assert patch.centromere / len(patch.axis) == pytest.approx(centromere_index(4), abs=0.02)
    widths = patch.mask.sum(axis=1)
    waist = round(float(patch.axis[patch.centromere, 1]))
    assert widths[waist] < 0.85 * np.median(widths)


def test_homologs_differ() -> None:
    rng = np.random.default_rng(0)
    cell = draw_values(Appearance(), rng)
    first, second = (draw_chromosome(1, rng, cell=cell, angle=0).stain for _ in range(2))
    assert first.shape != second.shape or not np.array_equal(first, second)


def test_axis_follows_the_given_course() -> None:
    patch = draw_chromosome(1, np.random.default_rng(6), angle=0.0, course=lambda u: np.pi / 2 * (2 * u - 1))
    steps = np.diff(patch.axis, axis=0)
    np.testing.assert_allclose(steps[0], (0, -np.hypot(*steps[0])), atol=0.02)
    np.testing.assert_allclose(steps[-1], (0, np.hypot(*steps[-1])), atol=0.02)
    assert patch.axis[:, 1].argmin() == pytest.approx(len(patch.axis) / 2, abs=2)
