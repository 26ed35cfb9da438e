"""Tiles: each box is inside the one tile that owns it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from karyotyping.image.tiles import Box, Tile, cover_boxes, split_box


def covered(boxes: list[Box], max_side: int = 512) -> list[Tile]:
    return cover_boxes(boxes, margin=20, step=16, max_side=max_side)


def boxes_of(seed: int) -> list[Box]:
    rng = np.random.default_rng(seed)
    corners, sizes = rng.integers(0, 900, (60, 2)), rng.integers(1, 180, (60, 2))
    return [(x, y, w, h) for (x, y), (w, h) in zip(corners.tolist(), sizes.tolist(), strict=True)]


@pytest.mark.parametrize("max_side", [256, 512])
@pytest.mark.parametrize("seed", range(8))
def test_every_box_has_one_tile_that_holds_it(seed: int, max_side: int) -> None:
    boxes = boxes_of(seed)
    tiles = covered(boxes, max_side)
    assert sorted(k for tile in tiles for k in tile.owned) == list(range(60))
    for tile in tiles:
        assert max(tile.width, tile.height) <= max_side
        assert [n % 16 for n in (tile.x, tile.y, tile.width, tile.height)] == [0] * 4
        for k in tile.owned:
            x, y, w, h = boxes[k]
            assert tile.x + 20 <= x
            assert tile.y + 20 <= y
            assert x + w <= tile.x + tile.width - 20
            assert y + h <= tile.y + tile.height - 20


def test_distant_boxes_get_tiles_of_their_own() -> None:
    apart = [(0, 0, 30, 30), (400, 380, 60, 30), (430, 30, 30, 90)]
    tiles = covered([*apart, (8, 40, 20, 20)])
    assert {tile.owned for tile in tiles} == {(0, 3), (1,), (2,)}
    shown = [sum(tile.width * tile.height for tile in covered(apart, max_side)) for max_side in (512, 1024, 4096)]
    assert shown[0] == shown[1] == shown[2] < 500 * 460 / 3
    crowd = boxes_of(0)
    assert sum(tile.width * tile.height for tile in covered(crowd, 4096)) <= (900 + 180 + 60) ** 2


def test_neighbours_share_a_tile_and_no_boxes_need_none() -> None:
    near = [(10 * k, 5, 8, 8) for k in range(20)]
    assert len(covered(near)) == 1
    assert covered([]) == []


def test_a_box_larger_than_a_tile_is_rejected_and_its_parts_fit() -> None:
    with pytest.raises(ValueError, match="20 pixels about it"):
        covered([(0, 0, 500, 10)])
    parts = split_box((3, 4, 500, 10), 128)
    assert [part[2] for part in parts] == [125] * 4
    assert all(a[0] + a[2] == b[0] for a, b in pairwise(parts))
    assert sum(w * h for _, _, w, h in parts) == 5000
    covered(parts)
