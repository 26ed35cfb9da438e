"""Find what software drew into an image: letters, scale bars, label boxes.

Optics blur every edge of a specimen over several pixels. A drawn edge is one pixel wide. Marks with such edges are
annotations if they are a line of text or a rectangle: debris and coarsely sampled chromosomes have steep edges too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from karyotyping.arrays import Grey, Mask

_MIN_DIFFERENCES = 0.25, 0.85  # of the largest difference from the background; the second parts ink from chromosomes
_MIN_AREA = 8  # px of a mark
_MIN_STEEPNESS = 0.9  # of the contrast across 3 px
_MIN_STEEPNESS_RATIO = 1.25  # over the lower quartile of all marks, which are chromosomes
_MAX_USUAL_STEEPNESS = 0.8  # of that quartile; where chromosomes have edges of one pixel too, edges separate nothing
_MAX_MARKS = 600  # of one image; more are grain, and their number bounds the work
_MIN_LETTERS = 3  # marks of one line of text
_MAX_HEIGHT_RATIO = 2.0  # of two letters of one line
_MAX_BASELINE_SHIFT = 0.35  # of the taller letter
_MAX_GAP = 1.5  # heights of the taller letter; an unaligned mark is rarely so near
_MIN_HULL_SHARE = 0.95  # of the bounding box of a rectangle
_MIN_FILL = 0.5  # of the bounding box of a rectangle; letters are holes in a label box
_MIN_LENGTH = 12  # px of a rectangle's longer side
_RIM = 2  # px around a mark that it influences
_CROSS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A connected component that differs from the background."""

    x: int
    y: int
    width: int
    height: int
    steepness: float
    """Median range of grey across its edge, over its contrast."""
    is_rectangle: bool

    def follows(self, other: _Mark) -> bool:
        """Return whether both are letters of one line."""
        low, high = sorted((self.height, other.height))
        gap = max(self.x, other.x) - min(self.x + self.width, other.x + other.width)
        shift = abs(self.y + self.height - other.y - other.height)
        return high <= _MAX_HEIGHT_RATIO * low and gap <= _MAX_GAP * high and shift <= _MAX_BASELINE_SHIFT * high


def find_annotations(grey: Grey) -> Mask:
    """Return the bounding boxes (H, W) of drawn marks, with their rim.

    Args:
        grey: (H, W) 0..1 of either polarity.

    >>> image = np.full((60, 90), 0.2, np.float32)
    >>> image[50:54, 40:80] = 1.0
    >>> mask = find_annotations(image)
    >>> bool(mask[51, 60]), int(mask.sum())
    (True, 352)
    """
    difference = np.abs(grey - np.median(grey))
    steps = np.asarray(cv2.dilate(grey, _CROSS) - cv2.erode(grey, _CROSS), np.float32)
    mask = np.zeros(grey.shape, np.uint8)
    for share in _MIN_DIFFERENCES:
        foreground = difference > share * difference.max()
        _, labels, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)
        large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= _MIN_AREA)
        if len(large) > _MAX_MARKS:
            continue
        marks = [_measure(int(k), labels, stats[k], difference, steps) for k in large if k]
        for mark in _drawn(marks):
            mask[mark.y : mark.y + mark.height, mark.x : mark.x + mark.width] = 1
    return np.asarray(cv2.dilate(mask, _CROSS, iterations=_RIM), bool)


def _measure(label: int, labels: np.ndarray, stats: np.ndarray, difference: Grey, steps: Grey) -> _Mark:
    x, y, width, height, area = (int(n) for n in stats)
    box = np.s_[y : y + height, x : x + width]
    own = (labels[box] == label).astype(np.uint8)
    edge = (own > 0) & (cv2.erode(own, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0) == 0)
    contrast = float(np.quantile(difference[box][own > 0], 0.9))
    steepness = float(np.median(steps[box][edge])) / contrast
    filled = area >= _MIN_FILL * width * height and max(width, height) >= _MIN_LENGTH
    return _Mark(x, y, width, height, steepness, filled and _hull_share(own) >= _MIN_HULL_SHARE)


def _hull_share(mask: np.ndarray) -> float:
    """Return the area of the convex hull of a mask's pixels over that of their bounding box."""
    pixels = cv2.findNonZero(mask).reshape(-1, 2)
    corners = np.concatenate([pixels + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    return float(cv2.contourArea(cv2.convexHull(corners))) / mask.size


def _drawn(marks: Sequence[_Mark]) -> list[_Mark]:
    """Return rectangles and lines of text among the marks with steep edges."""
    usual = float(np.quantile([mark.steepness for mark in marks], 0.25)) if len(marks) > _MIN_LETTERS else 0.0
    if usual > _MAX_USUAL_STEEPNESS:
        return []
    steep = [mark for mark in marks if mark.steepness >= max(_MIN_STEEPNESS, usual * _MIN_STEEPNESS_RATIO)]
    letters = [mark for line in _lines(steep) if len(line) >= _MIN_LETTERS for mark in line]
    return [*letters, *(mark for mark in steep if mark.is_rectangle)]


def _lines(marks: Sequence[_Mark]) -> list[list[_Mark]]:
    """Return groups of marks in which each follows another one."""
    lines: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.x):
        near = [line for line in lines if any(mark.follows(other) for other in line)]
        lines = [line for line in lines if line not in near]
        lines.append([mark, *(other for line in near for other in line)])
    return lines
