"""Tiles: every box lies wholly in the one tile that owns it, whatever the boxes."""

from __future__ import annotations

import numpy as np
import pytest

from karyotyping.tiles import cover, parted


@pytest.mark.parametrize("seed", range(8))
def test_every_box_has_one_tile_that_holds_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners, sizes = rng.integers(0, 900, (60, 2)), rng.integers(1, 200, (60, 2))
    boxes = [tuple(row) for row in np.concatenate([corners, sizes], axis=1).tolist()]
    tiles = cover(boxes, 256, 20)
    assert sorted(k for tile in tiles for k in tile.owned) == list(range(60))
    for tile in tiles:
        for k in tile.owned:
            x, y, w, h = boxes[k]
            assert tile.x + 20 <= x + 1
            assert tile.y + 20 <= y + 1
            assert x + w <= tile.x + 236 + 1
            assert y + h <= tile.y + 236 + 1


def test_neighbours_share_a_tile_and_nothing_needs_none() -> None:
    near = [(10 * k, 5, 8, 8) for k in range(20)]
    assert len(cover(near, 256, 20)) == 1
    assert cover([], 256, 20) == []


def test_a_box_that_no_tile_holds_is_refused_and_its_parts_are_not() -> None:
    with pytest.raises(ValueError, match="216 pixels"):
        cover([(0, 0, 300, 10)], 256, 20)
    parts = parted((3, 4, 300, 10), 128)
    assert [part[2] for part in parts] == [100, 100, 100]
    assert sum(w * h for _, _, w, h in parts) == 3000
    cover(parts, 256, 20)
