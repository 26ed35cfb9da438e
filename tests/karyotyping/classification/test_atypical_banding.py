"""Comparison of chromosomes with a model of normal ones, fitted to drawn profiles."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from karyotyping.arrays import Floats
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.atypical_banding import (
    MAX_FALSE_RATE,
    MIN_CHROMOSOMES,
    RATES,
    Assessor,
    NormalModel,
    flag_atypical,
)
from karyotyping.classification.atypical_templates import change_templates, describe, describe_rows, turned
from karyotyping.model import Chromosome
from karyotyping.nomenclature.ideogram import density_profile
from tests.support.drawn_cell import draw_cell
from training.normal_homologs import Described, fit_calibrated

Rows = tuple[Floats, Floats]
CLASSES = (8, 9)


def draw(class_id: int, rng: np.random.Generator, blur: float | None = None) -> Rows:
    """Return stain and width of a normal chromosome: stretched, blurred and noisy."""
    count = round(60 * float(np.exp(rng.normal(0, 0.05))))
    ideogram = density_profile(class_id, 120).astype(np.float64)
    kernel = np.hanning(2 * round(blur if blur is not None else rng.uniform(3, 5)) + 1)
    smooth = np.convolve(ideogram, kernel / kernel.sum(), "same")
    places = np.linspace(0, 1, count) ** float(np.exp(rng.normal(0, 0.03)))
    stain = np.interp(places, np.linspace(0, 1, 120), smooth) + rng.normal(0, 0.05, count)
    return 1 + rng.uniform(0.5, 1.0) * stain, np.full(count, 12.0) + rng.normal(0, 0.4, count)


def without(rows: Rows, start: float, stop: float) -> Rows:
    count = len(rows[0])
    return tuple(np.delete(one, slice(round(start * count), round(stop * count))) for one in rows)  # type: ignore[return-value]


def doubled(rows: Rows, start: float, stop: float) -> Rows:
    first, last = (round(share * len(rows[0])) for share in (start, stop))
    return tuple(np.concatenate([one[:last], one[first:]]) for one in rows)  # type: ignore[return-value]


@cache
def model() -> NormalModel:
    rng = np.random.default_rng(0)
    members = []
    for cell in range(150):
        for class_id in CLASSES:
            blur = float(rng.uniform(3, 5))
            members += [
                Described(describe_rows(*draw(class_id, rng, blur)), class_id - 1, str(cell), str(cell)) for _ in "12"
            ]
    return fit_calibrated(members)


def test_gain_offset_and_magnification_of_the_width_do_not_matter() -> None:
    stain, width = draw(8, np.random.default_rng(1))
    once, again = describe_rows(stain, width), describe_rows(1.2 * stain + 3, 2 * width)
    assert np.allclose(once[64:], again[64:])
    assert np.abs(once[:64] - again[:64]).max() < 0.1
    longer = describe_rows(np.repeat(stain, 2), np.repeat(width, 2))
    assert longer[-1] - once[-1] == pytest.approx(10 * np.log(2))


def test_normal_chromosomes_are_as_atypical_as_their_rate_says() -> None:
    rng, assessor = np.random.default_rng(2), Assessor(model())
    rates = np.array([assessor.assess(8, describe_rows(*draw(9, rng)), None).false_rate for _ in range(300)])
    assert 0.01 < np.mean(rates <= 0.05) < 0.12
    assert np.mean(rates < MAX_FALSE_RATE) < 0.03


def test_a_deletion_is_flagged_and_its_place_is_near() -> None:
    rng, assessor = np.random.default_rng(3), Assessor(model())
    found = [assessor.assess(7, describe_rows(*without(draw(8, rng), 0.6, 0.8)), None) for _ in range(20)]
    assert np.mean([one.false_rate < MAX_FALSE_RATE for one in found]) >= 0.9
    assert np.median([(one.start + one.stop) / 2 for one in found]) == pytest.approx(0.7, abs=0.15)


def test_more_heterochromatin_is_less_atypical_than_as_much_elsewhere() -> None:
    rng, assessor = np.random.default_rng(4), Assessor(model())
    normal = [draw(9, rng) for _ in range(20)]
    q12, q22 = (
        np.array([assessor.assess(8, describe_rows(*doubled(one, *place)), None).false_rate for one in normal])
        for place in ((0.36, 0.46), (0.62, 0.72))
    )
    assert np.mean(q22 < MAX_FALSE_RATE) > 0.8
    assert np.mean(q12 < MAX_FALSE_RATE) < np.mean(q22 < MAX_FALSE_RATE) / 2


def test_changes_of_heterochromatin_are_variable() -> None:
    changes = change_templates(9, model().mean[8])
    assert all(one.variable for one in changes if one.start >= 0.35 and one.stop <= 0.46)
    assert not [one for one in changes if one.variable and one.start >= 0.5]


def test_a_turned_description_is_that_of_the_turned_chromosome() -> None:
    stain, width = draw(9, np.random.default_rng(7))
    assert np.allclose(turned(describe_rows(stain, width)), describe_rows(stain[::-1], width[::-1]))


def test_what_both_homologs_share_is_less_atypical_than_what_one_has() -> None:
    rng, assessor = np.random.default_rng(5), Assessor(model())
    shared = []
    for _ in range(30):
        one, other = (describe_rows(*draw(8, rng, 7.0)) for _ in "12")  # a blur that no normal cell has
        shared.append([float(assessor.statistics(7, one[None], homolog)[0][0, 0]) for homolog in (other[None], None)])
    with_homolog, class_only = np.median(shared, axis=0)
    assert with_homolog < class_only


def test_a_written_model_is_read_again(tmp_path: Path) -> None:
    model().save(tmp_path / "model.npz")
    read = NormalModel.load(tmp_path / "model.npz")
    assert np.allclose(read.covariance, model().covariance, atol=2e-3)
    assert np.allclose(read.pair_covariance, np.swapaxes(read.pair_covariance, 1, 2))
    values = describe_rows(*without(draw(8, np.random.default_rng(6)), 0.6, 0.75))
    rates = [Assessor(one).assess(7, values, None).false_rate for one in (read, model())]
    assert rates[0] == pytest.approx(rates[1], rel=0.2)


def test_the_shipped_model_has_every_class_and_growing_quantiles() -> None:
    shipped = NormalModel.load()
    assert shipped.mean.shape[0] == 24
    assert (np.diff(shipped.quantiles, axis=-1) > 0).all()
    assert shipped.quantiles.shape[-1] == len(RATES)
    lengths = np.exp(shipped.mean[:, -1] / 10)
    assert lengths.argmax() == 0
    assert lengths[20] < lengths[0] / 3


@cache
def cell() -> tuple[tuple[Chromosome, ...], tuple[Measurement, ...]]:
    return draw_cell([*range(1, 12)] * 2, seed=0, resolution=550, appearance={"first_length": 100}, orientation="p_up")


def test_usable_chromosomes_of_g_banded_cells_are_compared() -> None:
    chromosomes, measured = cell()
    unusable = [
        replace(chromosomes[0], flags=frozenset({"overlapped"})),
        replace(chromosomes[1], orientation="unknown"),
    ]
    result = flag_atypical([*unusable, *chromosomes[2:]], measured[::-1], "dark_on_light")
    assert [one.atypical is None for one in result] == [True, True] + [False] * (len(result) - 2)
    assert all(
        ("atypical_banding" in one.flags) == (one.atypical.false_rate < MAX_FALSE_RATE)
        for one in result[2:]
        if one.atypical
    )
    assert flag_atypical(chromosomes, measured, "light_on_dark") == chromosomes
    few = MIN_CHROMOSOMES - 1
    assert flag_atypical(chromosomes[:few], measured[:few], "dark_on_light") == chromosomes[:few]


def test_the_orientation_on_the_canvas_does_not_matter() -> None:
    chromosomes, measured = cell()
    turned = flag_atypical(
        [replace(one, orientation="p_down") for one in chromosomes],
        [one.rotated() for one in measured],
        "dark_on_light",
    )
    for one, other in zip(flag_atypical(chromosomes, measured, "dark_on_light"), turned, strict=True):
        assert one.atypical
        assert other.atypical
        assert np.log(one.atypical.false_rate) == pytest.approx(np.log(other.atypical.false_rate), abs=0.5, rel=0.2)


def test_a_speck_is_not_described() -> None:
    canvas = np.zeros((128, 32), np.float32)
    assert describe(canvas) is None
    canvas[60:64, 10:20] = 1
    assert describe(canvas) is None
