"""Canvases are independent of scale, and predictions are equivariant to rotation."""

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
    """Return a cell of 46 chromosomes, drawn p arm up, in the order of the classes."""
    rng = np.random.default_rng(12)
    cell_appearance = draw_values(Appearance(), rng)
    classes = [*(n for n in range(1, 23) for _ in range(2)), X, X]
    patches = [draw_chromosome(n, rng, cell=cell_appearance, angle=np.pi / 2) for n in classes]
    return [measure(patch.stain, patch.mask) for patch in patches]


def test_the_canvas_has_the_mean_length_and_no_stain_outside(cell: list[Measurement]) -> None:
    scale = cell_scale(cell)
    canvases = np.stack([appearance(item, scale) for item in cell])
    assert canvases.shape == (46, ROWS, COLUMNS)
    lengths = (canvases.max(axis=2) > 0.1).sum(axis=1)
    assert lengths.mean() == pytest.approx(MEAN_LENGTH, rel=0.08)
    assert canvases[:, :, 0].max() == 0


def test_magnification_and_exposure_do_not_change_the_canvas() -> None:
    rng = np.random.default_rng(3)
    patches = [draw_chromosome(n, rng, angle=np.pi / 2) for n in (1, 4, 9, 13)]
    small = [measure(patch.stain, patch.mask) for patch in patches]
    twice = np.ones((2, 2), np.float32)
    large = [measure(np.kron(0.8 * patch.stain, twice), np.kron(patch.mask, twice) > 0) for patch in patches]
    one, other = ([appearance(item, cell_scale(items)) for item in items] for items in (small, large))
    assert np.abs(np.stack(one) - np.stack(other)).mean() < 0.05


def test_a_chromosome_much_brighter_than_its_cell_keeps_its_bands(cell: list[Measurement]) -> None:
    rng = np.random.default_rng(5)
    patch = draw_chromosome(9, rng, angle=np.pi / 2)
    typical, bright = (measure(factor * patch.stain, patch.mask) for factor in (1.0, 2.5))
    scale = cell_scale([*cell, typical])
    one, other = (appearance(item, scale) for item in (typical, bright))
    inside = (one > 0.3) & (other > 0.3)
    assert np.corrcoef(one[inside], other[inside])[0, 1] > 0.97
    assert 0.1 < (other - one)[inside].mean() < 0.5  # the higher brightness is kept
    assert (other[inside] == 2.5).mean() < 0.05  # and little is clipped


def test_a_cell_without_chromosomes_has_no_scale_and_no_predictions(embedder: Engine) -> None:
    assert classify([], embedder) == ()
    with pytest.raises(ValueError, match="has no scale"):
        cell_scale([])


def test_simulated_chromosomes_are_classified_and_oriented(cell: list[Measurement], embedder: Engine) -> None:
    predictions = classify(cell, embedder)
    true = [*(n for n in range(1, 23) for _ in range(2)), X, X]
    assert sum(one.top5[0][0] == n for one, n in zip(predictions, true, strict=True)) >= 44
    assert sum(one.p_up() > 0.5 for one in predictions) >= 44
    for one in predictions:
        assert np.exp(one.joint).sum() == pytest.approx(1)
        assert one.embedding is not None
        assert float(np.linalg.norm(one.embedding)) == pytest.approx(1, abs=1e-4)


def test_rotation_keeps_the_class_and_reverses_the_orientation(cell: list[Measurement], embedder: Engine) -> None:
    scale = cell_scale(cell)
    canvases = np.stack([appearance(item, scale) for item in cell])
    for one, rotated in zip(predict(canvases, embedder), predict(canvases[:, ::-1], embedder), strict=True):
        np.testing.assert_allclose(one.joint, rotated.joint[:, ::-1], atol=1e-3)
        assert one.unknown == pytest.approx(rotated.unknown, abs=1e-4)


def test_a_merged_pair_has_a_higher_unknown_probability(cell: list[Measurement], embedder: Engine) -> None:
    scale = cell_scale(cell)
    canvases = np.stack([appearance(item, scale) for item in cell])
    pairs = np.maximum(np.roll(canvases, -6, axis=2), np.roll(canvases[::-1], 6, axis=2))
    alone, merged = (np.median([one.unknown for one in predict(batch, embedder)]) for batch in (canvases, pairs))
    assert merged > alone + 0.2
