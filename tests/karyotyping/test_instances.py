"""Decoding of maps made by hand: every instance's mask is a rectangle that one kernel draws from plain prototypes."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.instances import (
    CELL,
    HIDDEN,
    LANES,
    PROTOTYPES,
    DecodeParameters,
    Instance,
    decode,
    suppressed,
    window,
    window_origin,
)

SIDE = 128
PARAMETERS = HIDDEN * (PROTOTYPES + 2) + 2 * HIDDEN + 1


def maps_of(bars: list[tuple[int, int, int, float]], quality: float = 0.9) -> dict[str, np.ndarray]:
    """Bars (lane, row, column, probability) of the maps: lane 0 lies flat, lane 2 stands; each has a prototype."""
    centre = np.zeros((LANES, SIDE, SIDE), np.float32)
    kernel = np.zeros((LANES, PARAMETERS, SIDE // CELL, SIDE // CELL), np.float32)
    prototypes = np.zeros((PROTOTYPES, SIDE, SIDE), np.float32)
    for k, (lane, row, column, score) in enumerate(bars):
        centre[lane, row, column] = score
        long, short = (20, 3) if lane == 0 else (3, 20)
        prototypes[k, row - short : row + short, column - long : column + long] = 1
        cell = kernel[lane, :, row // CELL, column // CELL]
        cell[k] = 8.0  # of the first hidden unit, whose weight in the last layer is 1
        cell[HIDDEN * (PROTOTYPES + 2) + HIDDEN], cell[-1] = 1.0, -4.0
    return {
        "centre": centre,
        "kernel": kernel.reshape(LANES * PARAMETERS, SIDE // CELL, SIDE // CELL),
        "quality": np.full((LANES, SIDE // CELL, SIDE // CELL), quality, np.float32),
        "prototypes": prototypes,
    }


def test_two_that_cross_in_their_middles_are_two_and_share_pixels() -> None:
    first, second = decode(maps_of([(0, 40, 50, 0.9), (2, 40, 50, 0.8)]), DecodeParameters())
    assert first.box == (60, 74, 80, 12)
    assert second.box == (94, 40, 12, 80)
    assert first.mask.shape == (256, 256)
    assert (first.mask & second.mask).sum() == 12 * 12
    assert first.midpoint == (101, 81)
    assert first.score == pytest.approx(0.81)
    assert second.score == pytest.approx(0.72, rel=0.05)


def test_what_tells_the_same_chromosome_again_goes() -> None:
    maps = maps_of([(0, 40, 50, 0.9), (0, 40, 54, 0.8), (0, 90, 50, 0.5)])
    maps["prototypes"][1] = maps["prototypes"][0]
    found = decode(maps, DecodeParameters())
    assert [item.box[1] for item in found] == [74, 174]


def test_only_peaks_that_are_likely_enough_and_large_enough_count() -> None:
    maps = maps_of([(0, 40, 50, 0.9), (0, 90, 50, 0.15)])
    maps["centre"][0, 40, 51] = 0.7
    assert len(decode(maps, DecodeParameters())) == 1
    assert len(decode(maps, DecodeParameters(midpoint=0.1))) == 2
    assert decode(maps, DecodeParameters(area=1000)) == []
    assert decode(maps_of([]), DecodeParameters()) == []


def test_a_mask_is_one_piece() -> None:
    maps = maps_of([(0, 40, 50, 0.9)])
    maps["prototypes"][0, 60:64, 50:54] = 1
    (found,) = decode(maps, DecodeParameters())
    assert found.box == (60, 74, 80, 12)


def test_a_part_of_another_falls_and_a_short_one_across_it_stays() -> None:
    def bar(y: int, x: int, h: int, w: int, score: float) -> Instance:
        mask = np.zeros((64, 64), bool)
        mask[y : y + h, x : x + w] = True
        return Instance(mask, (x, y, w, h), score, (x + w / 2, y + h / 2))

    long, part, across = bar(20, 4, 8, 56, 0.9), bar(20, 4, 8, 24, 0.8), bar(16, 30, 16, 8, 0.7)
    kept = suppressed([part, across, long], DecodeParameters(score=0.1))
    assert [item.box for item in kept] == [long.box, across.box]
    assert kept[1].score > 0.6


def test_windows_never_leave_the_tile_and_coordinates_are_zero_about_the_cell() -> None:
    assert [window_origin(middle, SIDE) for middle in (0, 50, 64, 127)] == [0, 2, 16, 32]
    seen = window(np.zeros((PROTOTYPES, SIDE, SIDE), np.float32), 61, 127)
    x, y = seen[-2:]
    assert y[:, 0][60 - 13 : 62 - 13].sum() == pytest.approx(0)
    assert x[0][126 - 32 : 128 - 32].sum() == pytest.approx(0)
