"""Find what software drew into an image: letters, bars, lines, frames, label boxes.

Optics blur every edge of a specimen over several pixels, and stain varies within it. A drawn mark has edges of one
pixel and one grey level. Debris and coarsely sampled chromosomes have steep edges too, but no single level. Thin
strokes show no level after smoothing; those in a line of text count nevertheless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Mask

_MIN_DIFFERENCES = 0.25, 0.85  # of the largest difference from the background; the second parts ink from chromosomes
_MIN_STAIN_DIFFERENCE = 0.5  # of the 99th percentile, which is below ink on a dim image
_MIN_AREA = 8  # px of a mark
_MIN_STEEPNESS = 0.9  # of the contrast across 3 px
_MAX_STEEPNESS = 1.25  # of a level; a bright gap between chromosomes has more
_MIN_LEAST_STEEPNESS = 0.7  # of the lower quartile of an edge; letters on a chromosome of their grey level have less
_MIN_STEEPNESS_RATIO = 1.25  # over the lower quartile of all marks, which are chromosomes
_MAX_USUAL_STEEPNESS = 0.8  # of that quartile; where chromosomes have edges of one pixel too, edges separate nothing
_MAX_MARKS = 600  # of one image; more are grain, and their number bounds the work
_MIN_LETTERS = 3  # of one line of text; letters that touch count by their width over their height
_MAX_HEIGHT_RATIO = 2.0  # of two letters of one line
_MAX_BASELINE_SHIFT = 0.35  # of the taller letter
_MAX_GAP = 1.5  # heights of the taller letter; an unaligned mark is rarely so near
_MIN_HULL_SHARE = 0.95  # of the bounding box of a rectangle
_MIN_FILL = 0.5  # of the bounding box of a rectangle; letters are holes in a label box
_MIN_LENGTH = 12  # px of a rectangle's longer side
_MAX_SPREAD = 0.06  # of a mark's contrast, about its level
_MIN_FLATNESS = 0.13  # share of a mark's pixels at its level; halos of sharpened images have less
_MIN_LONE_FLATNESS = 0.5  # the same of a mark that is drawn by its level alone
_MIN_LONE_SIDE = 6  # px of its shorter side; gaps between chromosomes are narrower
_MAX_STROKE = 0.5  # of its shorter side; specks and chromosomes that the camera's range clips are wider
_MAX_POINT_DISTANCE = 0.6  # heights between a drawn mark and its dot or comma
_MAX_STROKE_RATIO = 4.0  # over the usual stroke; a chromosome that touches a frame has more
_MIN_LINE_LENGTH = 60  # px of a ruled line, and an eighth of the longer side of the image
_MAX_LINE_THICKNESS = 6  # px
_RIM = 2  # px around a mark that it influences
_CROSS = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class _Mark:
    """A connected component that differs from the background.

    Most marks are not steep, so everything else is computed when it is asked for.
    """

    x: int
    y: int
    ink: NDArray[np.uint8]
    """(height, width) 1 where the component is."""
    edge: Mask
    """(height, width) its outermost pixels."""
    levels: Grey
    """(n,) difference of its pixels from the background."""
    steps: Grey
    """(m,) range of grey across its edge, sorted."""

    @cached_property
    def contrast(self) -> float:
        """Ninth decile of the difference from the background."""
        return _quantile(np.sort(self.levels), 0.9)

    @cached_property
    def steepness(self) -> float:
        """Median range of grey across its edge, over its contrast."""
        return _quantile(self.steps, 0.5) / self.contrast

    @cached_property
    def least_steepness(self) -> float:
        """Lower quartile of the same."""
        return _quantile(self.steps, 0.25) / self.contrast

    @cached_property
    def flatness(self) -> float:
        """Share of its pixels at the level of its contrast."""
        return float(np.mean(np.abs(self.levels - self.contrast) <= _MAX_SPREAD * self.contrast))

    @cached_property
    def stroke(self) -> float:
        """Largest width of its strokes, px."""
        return 2.0 * float(cv2.distanceTransform(np.pad(self.ink, 1), cv2.DIST_L2, 3).max()) - 1.0

    @cached_property
    def usual_stroke(self) -> float:
        """Mean width of its strokes, px."""
        return 2.0 * len(self.levels) / len(self.steps)

    @cached_property
    def is_rectangle(self) -> bool:
        """Return whether it fills its bounding box, holes apart."""
        filled = len(self.levels) >= _MIN_FILL * self.ink.size and max(self.ink.shape) >= _MIN_LENGTH
        return filled and _hull_share(self.edge) >= _MIN_HULL_SHARE

    @property
    def height(self) -> int:
        """Rows of the bounding box."""
        return len(self.ink)

    @property
    def is_constant(self) -> bool:
        """Return whether it has a level, and is steep nearly all around."""
        steep = self.least_steepness >= _MIN_LEAST_STEEPNESS and self.steepness <= _MAX_STEEPNESS
        return steep and self.flatness >= _MIN_FLATNESS

    @property
    def letters(self) -> float:
        """Estimated number of letters."""
        height, width = self.ink.shape
        return max(1.0, width / height) if self.is_thin else 1.0

    @property
    def is_thin(self) -> bool:
        """Return whether it consists of strokes."""
        even = self.stroke <= _MAX_STROKE_RATIO * self.usual_stroke
        return even and self.stroke <= _MAX_STROKE * min(self.ink.shape)

    @property
    def is_lone(self) -> bool:
        """Return whether its level and strokes alone show that it is drawn."""
        large = min(self.ink.shape) >= _MIN_LONE_SIDE
        return large and self.is_constant and self.is_thin and self.flatness >= _MIN_LONE_FLATNESS

    def gap(self, other: _Mark) -> int:
        """Return the columns between both; negative if they share columns."""
        right, end = self.x + self.ink.shape[1], other.x + other.ink.shape[1]
        return int(max(self.x, other.x) - min(right, end))

    def follows(self, other: _Mark) -> bool:
        """Return whether both are letters of one line."""
        low, high = sorted((self.height, other.height))
        shift = abs(self.y + self.height - other.y - other.height)
        near = self.gap(other) <= _MAX_GAP * high and shift <= _MAX_BASELINE_SHIFT * high
        return near and high <= _MAX_HEIGHT_RATIO * low

    def is_point_of(self, letter: _Mark) -> bool:
        """Return whether it is a dot, comma or thin stroke near a drawn mark of the same ink."""
        rows = max(self.y, letter.y) - min(self.y + self.height, letter.y + letter.height)
        alike = abs(self.contrast - letter.contrast) <= 2 * _MAX_SPREAD * letter.contrast
        return alike and max(rows, self.gap(letter)) <= _MAX_POINT_DISTANCE * letter.height


def find_annotations(grey: Grey) -> Mask:
    """Return the pixels (H, W) of drawn marks, with their rim.

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
    levels = [share * float(difference.max()) for share in _MIN_DIFFERENCES]
    for level in {*levels, min(levels[0], _MIN_STAIN_DIFFERENCE * float(np.quantile(difference, 0.99)))}:
        foreground = difference > level
        _, labels, stats, _ = cv2.connectedComponentsWithStats(foreground.astype(np.uint8), connectivity=8)
        large = np.flatnonzero(stats[:, cv2.CC_STAT_AREA] >= _MIN_AREA)
        if len(large) > _MAX_MARKS:
            continue
        marks = [_measure(int(k), labels, stats[k], difference, steps) for k in large if k]
        for mark in _drawn(marks):
            rows, columns = mark.ink.shape
            mask[mark.y : mark.y + rows, mark.x : mark.x + columns] |= 1 if mark.is_rectangle else mark.ink
        mask |= _ruled_lines(foreground, difference, steps)
    return np.asarray(cv2.dilate(mask, _CROSS, iterations=_RIM), bool)


def _ruled_lines(foreground: Mask, difference: Grey, steps: Grey) -> NDArray[np.uint8]:
    """Return long thin lines (H, W) along rows or columns, also where they cross chromosomes."""
    length, thickness = max(_MIN_LINE_LENGTH, max(foreground.shape) // 8), _MAX_LINE_THICKNESS + 1
    result = np.zeros(foreground.shape, np.uint8)
    for along, across in (((1, length), (thickness, 1)), ((length, 1), (1, thickness))):
        straight = _morph(foreground.astype(np.uint8), cv2.MORPH_OPEN, along)
        if not straight.any():
            continue
        thin = straight - _morph(straight, cv2.MORPH_OPEN, across)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(thin, connectivity=8)
        long = np.flatnonzero(stats[:, (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT)].max(axis=1) >= _MIN_LINE_LENGTH)
        marks = ((k, _measure(int(k), labels, stats[k], difference, steps)) for k in long if k)
        ruled = [k for k, mark in marks if mark.is_constant and mark.flatness >= _MIN_LONE_FLATNESS]
        bridge = (max(1, along[0] // 2), max(1, along[1] // 2))
        result |= _morph(np.isin(labels, ruled).astype(np.uint8), cv2.MORPH_CLOSE, bridge)
    return result


def _morph(mask: NDArray[np.uint8], operation: int, shape: tuple[int, int]) -> NDArray[np.uint8]:
    return np.asarray(cv2.morphologyEx(mask, operation, np.ones(shape, np.uint8)), np.uint8)


def _measure(label: int, labels: np.ndarray, stats: np.ndarray, difference: Grey, steps: Grey) -> _Mark:
    x, y, width, height, _ = (int(n) for n in stats)
    box = np.s_[y : y + height, x : x + width]
    own = (labels[box] == label).astype(np.uint8)
    edge = (own > 0) & (cv2.erode(own, _CROSS, borderType=cv2.BORDER_CONSTANT, borderValue=0) == 0)
    return _Mark(x, y, own, edge, difference[box][own > 0], np.sort(steps[box][edge]))


def _quantile(ordered: Grey, share: float) -> float:
    """Return ``np.quantile`` of sorted values (n,), faster for the few of a mark."""
    return float(np.interp(share * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def _hull_share(mask: Mask) -> float:
    """Return the area of the convex hull of a mask's pixels over that of their bounding box."""
    pixels = cv2.findNonZero(mask.view(np.uint8)).reshape(-1, 2)
    corners = np.concatenate([pixels + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    return float(cv2.contourArea(cv2.convexHull(corners))) / mask.size


def _drawn(marks: Sequence[_Mark]) -> list[_Mark]:
    """Return rectangles, lines of text and marks of one level among the marks with steep edges."""
    usual = float(np.quantile([mark.steepness for mark in marks], 0.25)) if len(marks) > _MIN_LETTERS else 0.0
    if usual > _MAX_USUAL_STEEPNESS:
        return []
    least = max(_MIN_STEEPNESS, usual * _MIN_STEEPNESS_RATIO)
    steep = [mark for mark in marks if mark.steepness >= least]
    constant = [mark for mark in steep if mark.is_constant]
    lines = _lines(constant)
    letters = {mark for line in lines if sum(one.letters for one in line) >= _MIN_LETTERS for mark in line}
    drawn = [mark for mark in steep if mark.is_rectangle or mark.is_lone or mark in letters]
    return drawn + [mark for mark in constant if mark not in drawn and any(mark.is_point_of(one) for one in drawn)]


def _lines(marks: Sequence[_Mark]) -> list[list[_Mark]]:
    """Return groups of marks in which each follows another one."""
    lines: list[list[_Mark]] = []
    for mark in sorted(marks, key=lambda mark: mark.x):
        near = [line for line in lines if any(mark.follows(other) for other in line)]
        lines = [line for line in lines if line not in near]
        lines.append([mark, *(other for line in near for other in line)])
    return lines
