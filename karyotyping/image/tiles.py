"""Where a network without a size of its own looks at an image: few rectangles that hold all that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Ints

Box = tuple[int, int, int, int]
"""x, y, width, height."""

_WORTH = 0.95
"""Two tiles are looked at instead of one where they have at most this share of its area."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of an image; it may reach beyond the border, where there is nothing."""

    x: int
    y: int
    width: int
    height: int
    owned: tuple[int, ...]
    """Which of the boxes are looked at in this tile, and in no other: they lie wholly inside."""

    def crop(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The tile (height, width) of an (H, W) image, 0 beyond its border.

        >>> Tile(-1, 0, 3, 2, ()).crop(np.ones((1, 2), np.float32)).tolist()
        [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
        """
        result = np.zeros((self.height, self.width), np.float32)
        left, top = max(0, self.x), max(0, self.y)
        part = image[top : max(top, self.y + self.height), left : max(left, self.x + self.width)]
        result[top - self.y : top - self.y + part.shape[0], left - self.x : left - self.x + part.shape[1]] = part
        return result


def cover_boxes(boxes: Sequence[Box], *, margin: int, step: int, max_side: int) -> list[Tile]:
    """Tiles so that every box lies in the one that owns it, ``margin`` from its border.

    Boxes are parted by the straight cut that leaves the least to look at, and their parts again, for as long as that is
    worth it.

    Args:
        boxes: a box too large is for the caller to part before.
        margin: pixels.
        step: of which widths and heights are multiples, and corners, pixels.
        max_side: width or height of a tile, pixels; a multiple of ``step``.

    Raises:
        ValueError: a box fits no tile.

    >>> [tile.owned for tile in cover([(0, 0, 9, 9), (90, 0, 9, 9), (12, 3, 9, 9)], margin=4, step=8, max_side=64)]
    [(0, 2), (1,)]
    """
    array = np.array(boxes, np.int64).reshape(-1, 4)
    low, high = array[:, :2] - margin, array[:, :2] + array[:, 2:] + margin
    if (_sides(low, high, step) > max_side).any():
        raise ValueError(f"a box and {margin} pixels about it are larger than a tile of {max_side} pixels")
    tiles, left = [], [np.arange(len(array))] if len(array) else []
    while left:
        members = left.pop()
        parts = _parted(low[members], high[members], step, max_side)
        if parts is not None:
            left += [members[part] for part in reversed(parts)]
            continue
        corner, end = low[members].min(axis=0), high[members].max(axis=0)
        (x, y), (width, height) = corner // step * step, _sides(corner, end, step)
        tiles.append(Tile(int(x), int(y), int(width), int(height), tuple(sorted(members.tolist()))))
    return tiles


def _sides(low: Ints, high: Ints, step: int) -> Ints:
    """Width and height of tiles from ``low`` to ``high``, both (..., 2), in whole steps."""
    return -(-high // step) * step - low // step * step


def _parted(low: Ints, high: Ints, step: int, max_side: int) -> tuple[Ints, Ints] | None:
    """Two groups of the boxes from ``low`` to ``high`` (N, 2) that are better looked at apart; None if together."""
    if len(low) < 2:
        return None
    sides = _sides(low.min(axis=0), high.max(axis=0), step)
    best = np.inf if (sides > max_side).any() else _WORTH * sides.prod()
    parts = None
    for axis in (0, 1):
        order = np.argsort(low[:, axis] + high[:, axis], kind="stable")
        before = _growing(low[order], high[order], step)[:-1]
        after = _growing(low[order[::-1]], high[order[::-1]], step)[-2::-1]
        k = int(np.argmin(before + after))
        if before[k] + after[k] < best:
            best, parts = before[k] + after[k], (order[: k + 1], order[k + 1 :])
    return parts


def _growing(low: Ints, high: Ints, step: int) -> Ints:
    """(N,) areas of the tiles about the first box, the first two, and so on."""
    sides = _sides(np.minimum.accumulate(low), np.maximum.accumulate(high), step)
    return np.asarray(sides.prod(axis=1))


def split_box(box: Box, max_side: int) -> list[Box]:
    """A box as one or more of at most ``max_side`` in both directions that lie side by side.

    >>> parted((0, 0, 10, 5), 6)
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
