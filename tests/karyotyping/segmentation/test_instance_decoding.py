"""Decoding of synthetic maps, in which each mask is a rectangle of one prototype."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.segmentation.instance_decoding import (
    AXIS_BINS,
    HIDDEN_UNITS,
    KERNEL_STRIDE,
    PROTOTYPES,
    Candidate,
    DecodeParameters,
    decode_instances,
    mask_inputs,
    window_origin,
)

SIDE = 128
PARAMETERS = HIDDEN_UNITS * (PROTOTYPES + 2) + 2 * HIDDEN_UNITS + 1


def maps_of(bars: list[tuple[int, int, int, float]], quality: float = 0.9) -> dict[str, np.ndarray]:
    """Maps of bars (axis bin, row, column, probability): bin 0 is horizontal, bin 2 is vertical."""
    centre = np.zeros((AXIS_BINS, SIDE, SIDE), np.float32)
    kernel = np.zeros((AXIS_BINS, PARAMETERS, SIDE // KERNEL_STRIDE, SIDE // KERNEL_STRIDE), np.float32)
    prototypes = np.zeros((PROTOTYPES, SIDE, SIDE), np.float32)
    for k, (axis_bin, row, column, score) in enumerate(bars):
        centre[axis_bin, row, column] = score
        long, short = (20, 3) if axis_bin == 0 else (3, 20)
        prototypes[k, row - short : row + short, column - long : column + long] = 1
        cell = kernel[axis_bin, :, row // KERNEL_STRIDE, column // KERNEL_STRIDE]
        cell[k] = 8.0  # of the first hidden unit, whose weight in the last layer is 1
        cell[HIDDEN_UNITS * (PROTOTYPES + 2) + HIDDEN_UNITS], cell[-1] = 1.0, -4.0
    return {
        "centre": centre,
        "kernel": kernel.reshape(AXIS_BINS * PARAMETERS, SIDE // KERNEL_STRIDE, SIDE // KERNEL_STRIDE),
        "quality": np.full((AXIS_BINS, SIDE // KERNEL_STRIDE, SIDE // KERNEL_STRIDE), quality, np.float32),
        "prototypes": prototypes,
    }


def box_of(item: Candidate) -> tuple[int, int, int, int]:
    rows, columns = item.region.pixels((SIDE, SIDE))
    return int(columns.min()), int(rows.min()), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1


def test_crossing_chromosomes_give_two_overlapping_candidates() -> None:
    first, second = decode_instances(maps_of([(0, 40, 50, 0.9), (2, 40, 50, 0.8)]), DecodeParameters())
    assert box_of(first) == (30, 37, 40, 6)
    assert box_of(second) == (47, 20, 6, 40)
    assert first.region.overlap_area(second.region) == 6 * 6
    assert first.midpoint == (50.5, 40.5)
    assert first.score == pytest.approx(0.81)
    assert second.score == pytest.approx(0.72)


def test_a_shifted_candidate_keeps_margin_and_mask() -> None:
    (item,) = decode_instances(maps_of([(0, 40, 50, 0.9)]), DecodeParameters())
    assert item.logits.shape == item.region.mask.shape == (8, 42)
    assert not item.region.mask[[0, -1]].any()
    assert (item.logits[item.region.mask] > 0).all()
    moved = item.shifted(3, -5)
    assert box_of(moved) == (33, 32, 40, 6)
    assert moved.midpoint == (53.5, 35.5)


def test_thresholds_drop_weak_midpoints_and_small_masks() -> None:
    maps = maps_of([(0, 40, 50, 0.9), (0, 90, 50, 0.05)])
    maps["centre"][0, 40, 51] = 0.7
    assert len(decode_instances(maps, DecodeParameters())) == 1
    assert len(decode_instances(maps, DecodeParameters(midpoint=0.04))) == 1
    assert len(decode_instances(maps, DecodeParameters(midpoint=0.04, score=0.04))) == 2
    assert decode_instances(maps, DecodeParameters(area=1000)) == []
    assert decode_instances(maps_of([]), DecodeParameters()) == []


def test_midpoints_outside_the_wanted_area_are_dropped() -> None:
    maps, wanted = maps_of([(0, 40, 50, 0.9), (0, 90, 50, 0.8)]), np.zeros((SIDE, SIDE), bool)
    maps["centre"][0, 90, 51] = 0.7  # on the slope of a peak that is not wanted, and none itself
    wanted[:60], wanted[:, 51] = True, True
    (found,) = decode_instances(maps, DecodeParameters(), wanted)
    assert found.midpoint == (50.5, 40.5)


def test_a_mask_is_its_largest_region() -> None:
    maps = maps_of([(0, 40, 50, 0.9)])
    maps["prototypes"][0, 60:64, 50:54] = 1
    (found,) = decode_instances(maps, DecodeParameters())
    assert box_of(found) == (30, 37, 40, 6)


def test_windows_stay_in_the_tile_and_coordinates_are_0_at_the_cell() -> None:
    assert [window_origin(middle, SIDE) for middle in (0, 50, 64, 127)] == [0, 2, 16, 32]
    inputs = mask_inputs(np.zeros((PROTOTYPES, SIDE, SIDE), np.float32), 61, 127)
    x, y = inputs[-2:]
    assert y[:, 0][60 - 13 : 62 - 13].sum() == pytest.approx(0)
    assert x[0][126 - 32 : 128 - 32].sum() == pytest.approx(0)
