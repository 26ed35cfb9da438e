"""Tiles that cover the regions of interest of an image, for fully convolutional networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Grey, Ints

Box = tuple[int, int, int, int]
"""x, y, width, height."""

_MAX_SPLIT_AREA_RATIO = 0.95  # summed area of two tiles over that of the one they replace


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an image; it may reach beyond the border."""

    x: int
    y: int
    width: int
    height: int
    owned: tuple[int, ...]
    """Indices of the boxes that this tile alone processes; each is wholly inside."""

    def crop(self, image: Grey) -> Grey:
        """Return the tile (height, width) of an (H, W) image, 0 beyond its border.

        >>> Tile(-1, 0, 3, 2, ()).crop(np.ones((1, 2), np.float32)).tolist()
        [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
        """
        result = np.zeros((self.height, self.width), np.float32)
        left, top = max(0, self.x), max(0, self.y)
        part = image[top : max(top, self.y + self.height), left : max(left, self.x + self.width)]
        result[top - self.y : top - self.y + part.shape[0], left - self.x : left - self.x + part.shape[1]] = part
        return result


def cover_boxes(boxes: Sequence[Box], *, margin: int, step: int, max_side: int) -> list[Tile]:
    """Return tiles such that each box is inside the one tile that owns it.

    Groups of boxes are split recursively by the axis-aligned cut with the least tile area. Splitting ends where it
    saves less than 5 % of the area.

    Args:
        boxes: x, y, width, height, pixels.
        margin: least distance from a box to the border of its tile, pixels.
        step: unit of the tiles' corners and sides, pixels.
        max_side: largest width or height of a tile, pixels; a multiple of ``step``.

    Raises:
        ValueError: a box fits no tile; split it first by :func:`split_box`.

    >>> boxes = [(0, 0, 9, 9), (90, 0, 9, 9), (12, 3, 9, 9)]
    >>> [tile.owned for tile in cover_boxes(boxes, margin=4, step=8, max_side=64)]
    [(0, 2), (1,)]
    """
    array = np.array(boxes, np.int64).reshape(-1, 4)
    low, high = array[:, :2] - margin, array[:, :2] + array[:, 2:] + margin
    if (_tile_sides(low, high, step) > max_side).any():
        raise ValueError(f"a box and {margin} pixels about it are larger than a tile of {max_side} pixels")
    tiles, groups = [], [np.arange(len(array))] if len(array) else []
    while groups:
        members = groups.pop()
        parts = _best_split(low[members], high[members], step, max_side)
        if parts is not None:
            groups += [members[part] for part in reversed(parts)]
            continue
        corner, end = low[members].min(axis=0), high[members].max(axis=0)
        (x, y), (width, height) = corner // step * step, _tile_sides(corner, end, step)
        tiles.append(Tile(int(x), int(y), int(width), int(height), tuple(sorted(members.tolist()))))
    return tiles


def _tile_sides(low: Ints, high: Ints, step: int) -> Ints:
    """Return (..., 2) sides, multiples of ``step``, of the tiles from ``low`` to ``high``."""
    return -(-high // step) * step - low // step * step


def _best_split(low: Ints, high: Ints, step: int, max_side: int) -> tuple[Ints, Ints] | None:
    """Return indices of two groups of the boxes (N, 2); None if one tile has less area."""
    if len(low) < 2:
        return None
    sides = _tile_sides(low.min(axis=0), high.max(axis=0), step)
    best_area = np.inf if (sides > max_side).any() else _MAX_SPLIT_AREA_RATIO * sides.prod()
    parts = None
    for axis in (0, 1):
        order = np.argsort(low[:, axis] + high[:, axis], kind="stable")
        before = _cumulative_areas(low[order], high[order], step)[:-1]
        after = _cumulative_areas(low[order[::-1]], high[order[::-1]], step)[-2::-1]
        k = int(np.argmin(before + after))
        if before[k] + after[k] < best_area:
            best_area, parts = before[k] + after[k], (order[: k + 1], order[k + 1 :])
    return parts


def _cumulative_areas(low: Ints, high: Ints, step: int) -> Ints:
    """Return (N,) areas of the tiles around the first box, the first two boxes, and so on."""
    sides = _tile_sides(np.minimum.accumulate(low), np.maximum.accumulate(high), step)
    return np.asarray(sides.prod(axis=1))


def split_box(box: Box, max_side: int) -> list[Box]:
    """Split a box into a grid of boxes of at most ``max_side`` pixels in both directions.

    >>> split_box((0, 0, 10, 5), 6)
    [(0, 0, 5, 5), (5, 0, 5, 5)]
    """
    x, y, w, h = box
    columns, rows = -(-w // max_side), -(-h // max_side)
    xs, ys = np.linspace(x, x + w, columns + 1).astype(int), np.linspace(y, y + h, rows + 1).astype(int)
    return [
        (int(xs[i]), int(ys[k]), int(xs[i + 1] - xs[i]), int(ys[k + 1] - ys[k]))
        for k in range(rows)
        for i in range(columns)
    ]
