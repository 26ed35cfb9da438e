"""Tiles: every box lies wholly in the one tile that owns it, whatever the boxes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from karyotyping.image.tiles import Box, Tile, cover_boxes, split_box


def covered(boxes: list[Box], largest: int = 512) -> list[Tile]:
    return cover_boxes(boxes, margin=20, step=16, max_side=largest)


def boxes_of(seed: int) -> list[Box]:
    rng = np.random.default_rng(seed)
    corners, sizes = rng.integers(0, 900, (60, 2)), rng.integers(1, 180, (60, 2))
    return [(x, y, w, h) for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)]


@pytest.mark.parametrize("largest", [256, 512])
@pytest.mark.parametrize("seed", range(8))
def test_every_box_has_one_tile_that_holds_it(seed: int, largest: int) -> None:
    boxes = boxes_of(seed)
    tiles = covered(boxes, largest)
    assert sorted(k for tile in tiles for k in tile.owned) == list(range(60))
    for tile in tiles:
        assert max(tile.width, tile.height) <= largest
        assert [n % 16 for n in (tile.x, tile.y, tile.width, tile.height)] == [0] * 4
        for k in tile.owned:
            x, y, w, h = boxes[k]
            assert tile.x + 20 <= x
            assert tile.y + 20 <= y
            assert x + w <= tile.x + tile.width - 20
            assert y + h <= tile.y + tile.height - 20


def test_what_lies_apart_is_looked_at_apart_and_never_more_than_all_at_once() -> None:
    apart = [(0, 0, 30, 30), (400, 380, 60, 30), (430, 30, 30, 90)]
    tiles = covered([*apart, (8, 40, 20, 20)])
    assert {tile.owned for tile in tiles} == {(0, 3), (1,), (2,)}
    shown = [sum(tile.width * tile.height for tile in covered(apart, largest)) for largest in (512, 1024, 4096)]
    assert shown[0] == shown[1] == shown[2] < 500 * 460 / 3
    crowd = boxes_of(0)
    assert sum(tile.width * tile.height for tile in covered(crowd, 4096)) <= (900 + 180 + 60) ** 2


def test_neighbours_share_a_tile_and_nothing_needs_none() -> None:
    near = [(10 * k, 5, 8, 8) for k in range(20)]
    assert len(covered(near)) == 1
    assert covered([]) == []


def test_a_box_that_no_tile_holds_is_refused_and_its_parts_are_not() -> None:
    with pytest.raises(ValueError, match="20 pixels about it"):
        covered([(0, 0, 500, 10)])
    parts = split_box((3, 4, 500, 10), 128)
    assert [part[2] for part in parts] == [125] * 4
    assert all(a[0] + a[2] == b[0] for a, b in pairwise(parts))
    assert sum(w * h for _, _, w, h in parts) == 5000
    covered(parts)
