"""Targets of toy samples: midpoints, bins of directions, dense maps and masks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra `train`")

from karyotyping.segmentation.instance_decoding import (
    AXIS_BINS,
    CORE_DIRECTIONS,
    DENSE_MAPS,
    STRIDE,
    WINDOW_SIDE,
    window_origin,
)
from training.segmenter.sample import Sample
from training.segmenter.targets import axis_maps, centre_map, dense_maps, find_midpoints, make_batch

Draw = Callable[..., Sample]


def test_midpoints_halve_the_arc_length() -> None:
    axis = np.array([[0, 10], [1, 10], [2, 10], [20, 10]], np.float32)
    found = find_midpoints(np.stack([axis, axis[::-1], axis[:, ::-1]]))
    np.testing.assert_allclose(found.x, [10, 10, 10])
    np.testing.assert_allclose(found.y, [10, 10, 10])
    np.testing.assert_allclose(found.direction, [0, 0, np.pi / 2], atol=1e-6)


def test_chromosomes_that_cross_in_their_middles_have_different_bins() -> None:
    along = np.linspace(-40, 40, 16, dtype=np.float32)
    flat = np.stack([along + 100, np.full(16, 100, np.float32)], axis=1)
    centre = centre_map(find_midpoints(np.stack([flat, flat[:, ::-1]])), np.array([True, True]), 256)
    bins, rows, columns = np.nonzero(centre == 1)
    assert bins.tolist() == [0, AXIS_BINS // 2]
    assert set(rows) == set(columns) == {50}
    assert 0.05 < centre[1, 50, 50] < 0.2  # 45 degrees away from both


def test_dense_maps_cover_foreground_overlap_and_axes(draw_toy: Draw) -> None:
    sample = draw_toy(3)
    maps = dict(zip(DENSE_MAPS, dense_maps(sample), strict=True))
    deep = sample.masks.sum(axis=0)
    assert maps["foreground"].sum() * STRIDE**2 == pytest.approx((deep > 0).sum())
    assert maps["overlap"].sum() * STRIDE**2 == pytest.approx((deep > 1).sum())
    assert (maps["boundary"] > 0).sum() > 0
    solid = maps["foreground"] == 1
    core = np.max([maps[f"core_{k}"] for k in range(CORE_DIRECTIONS)], axis=0) > 0
    assert solid[core].mean() > 0.98
    assert core.sum() > 0.3 * maps["foreground"].sum()


def test_axes_are_drawn_in_their_directions() -> None:
    along = np.linspace(40, 200, 16, dtype=np.float32)
    lifted = axis_maps(np.stack([along, np.full(16, 81, np.float32)], axis=1)[None], 128)
    assert np.flatnonzero(lifted.any(axis=(1, 2))).tolist() == [0, 1]
    rows = np.flatnonzero(lifted[0].any(axis=1))
    assert len(rows) in (3, 4)
    assert rows.mean() == pytest.approx(40.25, abs=0.5)


def test_a_batch_draws_masks_of_visible_midpoints(draw_toy: Draw) -> None:
    samples = [draw_toy(1), draw_toy(2, pairs=1, singles=0), draw_toy(5, pairs=0, singles=0)]
    batch = make_batch(samples, np.random.default_rng(1), max_masks=6)
    assert np.bincount(batch.image.numpy(), minlength=3).tolist() == [6, 2, 0]
    assert batch.mask.shape == (8, WINDOW_SIDE, WINDOW_SIDE)
    for k, row, column, mask in zip(batch.image, batch.row, batch.column, batch.mask.numpy(), strict=True):
        sample = samples[int(k)]
        middle = find_midpoints(sample.axes)
        near = np.hypot(middle.x / STRIDE - int(column), middle.y / STRIDE - int(row)) < 3
        y, x = (STRIDE * window_origin(int(a), 128) for a in (row, column))
        seen = sample.masks[near, y : y + STRIDE * WINDOW_SIDE, x : x + STRIDE * WINDOW_SIDE]
        assert mask.sum() * STRIDE**2 in seen.sum(axis=(1, 2))


def test_midpoints_outside_of_the_tile_are_no_targets(draw_toy: Draw) -> None:
    sample = draw_toy(4)
    outside = dataclasses.replace(sample, axes=sample.axes + np.float32(256))
    batch = make_batch([outside], np.random.default_rng(1), max_masks=6)
    assert len(batch.mask) == 0
    assert float(batch.centre.max()) < 1


def test_a_chromosome_whose_middle_is_cut_off_is_no_target(draw_toy: Draw) -> None:
    sample = draw_toy(4, pairs=0, singles=1)
    middle = find_midpoints(sample.axes)
    assert middle.visible_in(sample).all()
    sample.masks[:, :, : int(middle.x[0]) + 10] = False
    sample.masks[:, : int(middle.y[0]) + 10] = False
    assert not middle.visible_in(sample).any()
    assert float(make_batch([sample], np.random.default_rng(1), max_masks=6).centre.max()) < 1
