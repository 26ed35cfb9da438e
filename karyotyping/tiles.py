"""Where a network with a window of fixed size looks at an image of any size: few tiles that hold all that matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""x, y, width, height."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A square window of an image; it may reach beyond the border, where there is nothing."""

    x: int
    y: int
    owned: tuple[int, ...]
    """Which of the boxes are looked at in this tile, and in no other: they lie wholly inside."""

    def cut(self, image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
        """The window (side, side) of an (H, W) image, 0 beyond its border.

        >>> Tile(-1, 0, ()).cut(np.ones((2, 2), np.float32), 3).tolist()
        [[0.0, 1.0, 1.0], [0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
        """
        result = np.zeros((side, side), np.float32)
        x0, y0 = max(0, self.x), max(0, self.y)
        part = image[y0 : max(y0, self.y + side), x0 : max(x0, self.x + side)]
        result[y0 - self.y : y0 - self.y + part.shape[0], x0 - self.x : x0 - self.x + part.shape[1]] = part
        return result


def cover(boxes: Sequence[Box], side: int, margin: int) -> list[Tile]:
    """Tiles with sides of ``side`` so that every box lies in the tile that owns it, ``margin`` from its border.

    The tile that takes in most of what is left comes next (the greedy set cover). A box larger than a tile's inside is
    for the caller to part before.

    Args:
        boxes: none larger than ``side - 2 * margin``.
        side: pixels.
        margin: pixels.

    Raises:
        ValueError: a box is too large.

    >>> [tile.owned for tile in cover([(0, 0, 9, 9), (50, 0, 9, 9), (12, 3, 9, 9)], 32, 4)]
    [(0, 2), (1,)]
    """
    inside = side - 2 * margin
    array = np.array(boxes, np.int64).reshape(-1, 4)
    if (array[:, 2:] > inside).any():
        raise ValueError(f"a box is larger than the {inside} pixels that a tile holds")
    low, high = array[:, :2], array[:, :2] + array[:, 2:]
    # Pushed right and down as far as possible, a tile's inside begins where one of its boxes does, in x and in y.
    starts = [np.unique(low[:, axis]) for axis in (0, 1)]
    holds = [
        (low[None, :, axis] >= starts[axis][:, None]) & (high[None, :, axis] <= starts[axis][:, None] + inside)
        for axis in (0, 1)
    ]
    left, tiles = np.ones(len(array), bool), []
    while left.any():
        count = (holds[0] & left).astype(np.int64) @ holds[1].T
        column, row = np.unravel_index(int(np.argmax(count)), count.shape)
        owned = np.flatnonzero(holds[0][column] & holds[1][row] & left)
        left[owned] = False
        # The tile is centred on what it owns.
        x, y = ((low[owned].min(axis=0) + high[owned].max(axis=0) - side) // 2).tolist()
        tiles.append(Tile(x, y, tuple(owned.tolist())))
    return tiles


def parted(box: Box, largest: int) -> list[Box]:
    """A box as one or more of at most ``largest`` in both directions that lie side by side.

    >>> parted((0, 0, 10, 5), 6)
    [(0, 0, 5, 5), (5, 0, 5, 5)]
    """
    x, y, w, h = box
    columns, rows = -(-w // largest), -(-h // largest)
    xs, ys = np.linspace(x, x + w, columns + 1).astype(int), np.linspace(y, y + h, rows + 1).astype(int)
    return [
        (int(xs[i]), int(ys[k]), int(xs[i + 1] - xs[i]), int(ys[k + 1] - ys[k]))
        for k in range(rows)
        for i in range(columns)
    ]
