"""The most similar homologs are neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from karyotyping.model import Chromosome
from karyotyping.rendering.karyogram.homologs import order_homologs, similarity

if TYPE_CHECKING:
    from conftest import MakeChromosome


@pytest.fixture
def at(chromosome: MakeChromosome) -> MakeChromosome:
    """Return a factory of chromosomes whose embedding has an angle in degrees."""

    def pointing(angle: float, **changes: object) -> Chromosome:
        radians = np.deg2rad(angle)
        direction = np.array([np.cos(radians), np.sin(radians)], np.float32)
        return chromosome(21, embedding=direction, ordinal=round(angle), **changes)

    return pointing


@pytest.mark.parametrize("angles", [(0, 80, 10), (80, 0, 10), (10, 50, 0, 80, 30)])
def test_the_most_similar_homologs_are_neighbours(at: MakeChromosome, angles: tuple[int, ...]) -> None:
    order = [item.ordinal for item in order_homologs([at(angle) for angle in angles])]
    assert order in (sorted(angles), sorted(angles, reverse=True))


def test_of_two_homologs_the_higher_class_score_is_on_the_left(at: MakeChromosome) -> None:
    items = [at(0, class_score=0.7), at(10, class_score=0.9)]
    assert [item.ordinal for item in order_homologs(items)] == [10, 0]
    assert order_homologs([]) == []


def test_without_embeddings_the_profiles_are_compared(chromosome: MakeChromosome) -> None:
    bands = np.linspace(0, 1, 64, dtype=np.float32)
    other = np.cos(np.linspace(0, 9, 64)).astype(np.float32)
    up, down = chromosome(21, profile=bands), chromosome(21, profile=bands[::-1], orientation="p_down")
    assert similarity(up, down) == pytest.approx(1)
    assert similarity(up, chromosome(21, profile=bands[::-1])) == pytest.approx(-1)
    assert similarity(up, chromosome(21, profile=np.ones(64, np.float32))) == 0
    trio = order_homologs([up, chromosome(21, profile=other, class_score=1.0), down])
    assert trio.index(up) == 1 or trio.index(down) == 1


def test_embeddings_take_precedence_over_profiles(at: MakeChromosome) -> None:
    bands = np.linspace(0, 1, 64, dtype=np.float32)
    assert similarity(at(0, profile=bands), at(90, profile=bands)) == pytest.approx(0, abs=1e-6)
