"""Find the part of an image that the camera took: exports add flat margins and bands."""

from __future__ import annotations

import numpy as np

from karyotyping.arrays import Floats32, Grey

_MAX_SPREAD = 0.012  # grey, 0..1, of a row or column that is flat; JPEG leaves about 0.01
_MIN_STEP = 0.05  # grey, 0..1, between a margin and the most frequent grey inside
_MIN_SHARE = 0.2  # share of a side that must remain

Window = tuple[slice, slice]


def field_of_view(grey: Grey) -> Window:
    """Return rows and columns without flat margins that differ from the background.

    Args:
        grey: (H, W) 0..1.

    >>> image = np.full((60, 80), 0.7, np.float32)
    >>> image[20:40, 30:50] = 0.3
    >>> image[:6], image[-8:] = 1.0, 1.0
    >>> field_of_view(image)
    (slice(6, 52, None), slice(0, 80, None))
    """
    window = np.s_[0 : grey.shape[0], 0 : grey.shape[1]]
    for _ in range(3):  # a band within a margin: each pass takes off one flat frame
        inner = grey[window]
        usual = _most_frequent(inner)
        rows, columns = _kept(inner, usual), _kept(inner.T, usual)
        if rows == (0, inner.shape[0]) and columns == (0, inner.shape[1]):
            break
        (top, bottom), (left, right) = rows, columns
        if bottom - top < _MIN_SHARE * grey.shape[0] or right - left < _MIN_SHARE * grey.shape[1]:
            break
        y, x = window[0].start, window[1].start
        window = np.s_[y + top : y + bottom, x + left : x + right]
    return window


def _kept(lines: Grey, usual: float) -> tuple[int, int]:
    """Return the first line that is no margin, and the end of the last one."""
    inside = (k for k, line in enumerate(lines) if not _is_margin(line, usual))
    first = next(inside, None)
    if first is None:
        return 0, len(lines)
    return first, len(lines) - next(k for k, line in enumerate(lines[::-1]) if not _is_margin(line, usual))


def _is_margin(line: Floats32, usual: float) -> bool:
    """Return whether a row or column (n,) is flat and differs from the most frequent grey."""
    low, high = np.quantile(line, [0.02, 0.98])
    return bool(high - low < _MAX_SPREAD and abs(low - usual) > _MIN_STEP)


def _most_frequent(grey: Grey) -> float:
    """Return the mode of the middle of an image, where margins are not."""
    h, w = grey.shape
    middle = grey[h // 6 : h - h // 6, w // 6 : w - w // 6]
    histogram, edges = np.histogram(middle, bins=64, range=(0.0, 1.0))
    return float(edges[int(np.argmax(histogram))] + 0.5 / 64)
