"""Band level of simulated chromosomes, whose level and blur are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.band_level import BandLevel, add_band_level, measure_band_level
from karyotyping.model import Chromosome
from karyotyping.nomenclature.ideogram import Resolution
from karyotyping.quality import measure_crop_quality
from tests.support.drawn_cell import draw_cell

CLASSES = [*range(1, 19), 23]


@cache
def cell(
    level: Resolution, seed: int = 0, shrunk: float = 1.0
) -> tuple[tuple[Chromosome, ...], tuple[Measurement, ...]]:
    """Return a cell, longest chromosome first, with lengths that grow with the level."""
    scale = level / 400 * shrunk
    appearance = {"first_length": 100 * scale, "band_blur": 0.017 / scale}
    return draw_cell(CLASSES, seed=seed, resolution=level, appearance=appearance)


def level_of(level: Resolution, seed: int = 0, shrunk: float = 1.0) -> BandLevel:
    found = measure_band_level(*cell(level, seed, shrunk), ["G"])
    assert found is not None
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_level_grows_with_that_of_the_simulated_cell(seed: int) -> None:
    levels = [level_of(level, seed) for level in (400, 550, 850)]
    for found, drawn in zip(levels, (400, 550, 850), strict=True):
        assert found.level == pytest.approx(drawn, rel=0.25)
        assert found.low < found.level < found.high
    assert levels[0].level < levels[1].level < levels[2].level


def test_shorter_chromosomes_resolve_fewer_bands() -> None:
    assert level_of(850, shrunk=0.6).level < level_of(850).level


def test_few_or_unusable_chromosomes_have_no_level() -> None:
    chromosomes, measured = cell(550)
    assert measure_band_level(chromosomes[:11], measured[:11], ["G"]) is None
    crossed = [replace(one, flags=frozenset({"overlapped"})) for one in chromosomes[:8]]
    assert measure_band_level([*crossed, *chromosomes[8:]], measured, ["G"]) is None
    unsure = [replace(one, class_score=0.2) for one in chromosomes]
    assert measure_band_level(unsure, measured, ["G"]) is None


def test_chromosomes_without_bands_have_no_level() -> None:
    chromosomes, measured = cell(550)
    rng = np.random.default_rng(3)
    plain = [
        replace(one, stain=(one.inside * rng.normal(1, 0.05, one.inside.shape)).astype(np.float32)) for one in measured
    ]
    assert measure_band_level(chromosomes, plain, ["G"]) is None


def test_a_quality_has_the_level_and_nothing_else_changes() -> None:
    chromosomes, measured = cell(550)
    quality = measure_crop_quality(chromosomes)
    found = add_band_level(quality, chromosomes, measured[::-1])
    expected = level_of(550)
    assert (found.band_level, found.band_level_low, found.band_level_high) == (
        expected.level,
        expected.low,
        expected.high,
    )
    assert replace(found, band_level=None, band_level_low=None, band_level_high=None) == quality
    assert add_band_level(quality, chromosomes[:5], measured[:5]) is quality
