"""What the network sees is the same at any scale, and what it says is the same either way up."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.chromosome.measure import Measurement, measure
from karyotyping.classification.embedder import (
    COLUMNS,
    EMBEDDER,
    MEAN_LENGTH,
    ROWS,
    appearance,
    cell_scale,
    classify,
    predict,
)
from karyotyping.nomenclature.classes import X
from models import registry
from models.engine import Engine, load_engine
from training.simulation.appearance import Appearance, draw_values
from training.simulation.chromosome import draw_chromosome


@pytest.fixture(scope="module")
def embedder() -> Engine:
    return load_engine(registry.resolve(EMBEDDER).path, "cpu")


@pytest.fixture(scope="module")
def cell() -> list[Measurement]:
    """A cell of 46, drawn p arm up, in the order of the classes."""
    rng = np.random.default_rng(12)
    look = draw_values(Appearance(), rng)
    classes = [*(n for n in range(1, 23) for _ in range(2)), X, X]
    patches = [draw_chromosome(n, rng, cell=look, angle=np.pi / 2) for n in classes]
    return [measure(patch.stain, patch.mask) for patch in patches]


def test_the_canvas_has_the_cells_mean_length_and_no_stain_outside(cell: list[Measurement]) -> None:
    scale = cell_scale(cell)
    seen = np.stack([appearance(item, scale) for item in cell])
    assert seen.shape == (46, ROWS, COLUMNS)
    lengths = (seen.max(axis=2) > 0.1).sum(axis=1)
    assert lengths.mean() == pytest.approx(MEAN_LENGTH, rel=0.08)
    assert seen[:, :, 0].max() == 0


def test_a_cell_photographed_twice_as_large_and_darker_looks_the_same() -> None:
    rng = np.random.default_rng(3)
    patches = [draw_chromosome(n, rng, angle=np.pi / 2) for n in (1, 4, 9, 13)]
    small = [measure(patch.stain, patch.mask) for patch in patches]
    twice = np.ones((2, 2), np.float32)
    large = [measure(np.kron(0.8 * patch.stain, twice), np.kron(patch.mask, twice) > 0) for patch in patches]
    one, other = ([appearance(item, cell_scale(items)) for item in items] for items in (small, large))
    assert np.abs(np.stack(one) - np.stack(other)).mean() < 0.05


def test_one_far_brighter_than_its_cell_shows_the_same_bands(cell: list[Measurement]) -> None:
    rng = np.random.default_rng(5)
    patch = draw_chromosome(9, rng, angle=np.pi / 2)
    usual, bright = (measure(factor * patch.stain, patch.mask) for factor in (1.0, 2.5))
    scale = cell_scale([*cell, usual])
    one, other = (appearance(item, scale) for item in (usual, bright))
    inside = (one > 0.3) & (other > 0.3)
    assert np.corrcoef(one[inside], other[inside])[0, 1] > 0.97
    assert 0.1 < (other - one)[inside].mean() < 0.5  # that it is bright is still to be seen
    assert (other[inside] == 2.5).mean() < 0.05  # but it is not a blot


def test_a_cell_without_chromosomes_has_no_scale_and_no_answers(embedder: Engine) -> None:
    assert classify([], embedder) == ()
    with pytest.raises(ValueError, match="has no scale"):
        cell_scale([])


def test_simulated_chromosomes_are_named_and_stood_up(cell: list[Measurement], embedder: Engine) -> None:
    said = classify(cell, embedder)
    true = [*(n for n in range(1, 23) for _ in range(2)), X, X]
    assert sum(one.top5[0][0] == n for one, n in zip(said, true, strict=True)) >= 44
    assert sum(one.p_up() > 0.5 for one in said) >= 44
    for one in said:
        assert np.exp(one.joint).sum() == pytest.approx(1)
        assert one.embedding is not None
        assert float(np.linalg.norm(one.embedding)) == pytest.approx(1, abs=1e-4)


def test_upside_down_it_is_the_same_class_and_the_other_way_up(cell: list[Measurement], embedder: Engine) -> None:
    scale = cell_scale(cell)
    seen = np.stack([appearance(item, scale) for item in cell])
    for one, turned in zip(predict(seen, embedder), predict(seen[:, ::-1], embedder), strict=True):
        np.testing.assert_allclose(one.joint, turned.joint[:, ::-1], atol=1e-3)
        assert one.unknown == pytest.approx(turned.unknown, abs=1e-4)


def test_a_pair_side_by_side_is_less_likely_one_chromosome(cell: list[Measurement], embedder: Engine) -> None:
    scale = cell_scale(cell)
    seen = np.stack([appearance(item, scale) for item in cell])
    pairs = np.maximum(np.roll(seen, -6, axis=2), np.roll(seen[::-1], 6, axis=2))
    alone, merged = (np.median([one.unknown for one in predict(pictures, embedder)]) for pictures in (seen, pairs))
    assert merged > alone + 0.2
