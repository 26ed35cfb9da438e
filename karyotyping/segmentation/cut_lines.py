"""Where a straight cut might part two chromosomes: short, dark, between concave points of the outline."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from karyotyping.arrays import Floats, Grey, Mask


@dataclass(frozen=True, slots=True)
class CutParameters:
    """The judgement of a cut is a logistic function. Lengths are in chromosome widths."""

    whole: float = 3.0
    """Log odds of a cut of no length between two concave points."""
    length: float = 1.6
    """Penalty per width of length, weighted by the stain that is cut through."""
    valley: float = 2.0
    """Bonus of a cut half as dark as both its sides."""
    straight: float = 1.2
    """Penalty of an end that is not concave."""
    max_length: float = 2.5
    """Longest cut."""
    concave: float = 0.45
    """Least turning of the outline at a concave point, radians."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A straight border across a region."""

    start: tuple[int, int]
    stop: tuple[int, int]
    odds: float
    """Log odds that it parts two chromosomes."""


def outlines(mask: Mask) -> list[NDArray[np.int32]]:
    """The closed outlines of a mask, holes included, each (N, 2) x, y in one direction around."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(c[:, 0, :], np.int32) for c in found if len(c) >= 6]


def concavity(outline: NDArray[np.int32], step: float) -> NDArray[np.float64]:
    """Turning angle at every point of an outline as cv2 orders it, radians; positive where the region is concave."""
    n = len(outline)
    arm = max(2, min(round(step), n // 4))
    smooth = ndimage.gaussian_filter1d(outline.astype(float), max(0.7, 0.25 * arm), axis=0, mode="wrap")
    before, after = smooth - np.roll(smooth, arm, axis=0), np.roll(smooth, -arm, axis=0) - smooth
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(np.arctan2(cross, np.sum(before * after, axis=1)), np.float64)


@dataclass(frozen=True, slots=True)
class _Outline:
    """All outline points of a region, one outline after the other."""

    points: Floats
    """(N, 2) x, y"""
    turning: NDArray[np.float64]
    """(N,)"""
    owner: NDArray[np.int64]
    """(N,) number of the outline."""
    position: NDArray[np.int64]
    """(N,) along it."""
    perimeter: NDArray[np.int64]
    """Points of each outline."""

    @classmethod
    def of(cls, mask: Mask, width: float) -> _Outline | None:
        """None for a region too small to have one."""
        lines = outlines(mask)
        if not lines:
            return None
        return cls(
            points=np.concatenate(lines).astype(float),
            turning=np.concatenate([concavity(line, 0.5 * width) for line in lines]),
            owner=np.concatenate([np.full(len(line), k) for k, line in enumerate(lines)]),
            position=np.concatenate([np.arange(len(line)) for line in lines]),
            perimeter=np.array([len(line) for line in lines]),
        )

    def across(self, i: int, longest: float) -> NDArray[np.intp]:
        """Points within ``longest`` of point ``i`` that are farther along the outline than straight across."""
        chord = np.hypot(*(self.points - self.points[i]).T)
        arc = np.abs(self.position - self.position[i])
        same = self.owner == self.owner[i]
        arc = np.where(same, np.minimum(arc, self.perimeter[self.owner[i]] - arc), np.inf)
        return np.nonzero((chord < longest) & (chord > 1.0) & (arc > 1.5 * chord))[0]


def find_cuts(mask: Mask, stain: Grey, width: float, parameters: CutParameters) -> list[Cut]:
    """Candidate cuts from every concave point to whatever lies across, likeliest first."""
    outline = _Outline.of(mask, width)
    if outline is None:
        return []
    cuts: list[Cut] = []
    for i in _peaks(outline, parameters.concave, round(0.3 * width)):
        near = outline.across(i, parameters.max_length * width)
        cuts += _judge(outline, i, near, (mask, stain, width), parameters)
    cuts.sort(key=lambda cut: -cut.odds)
    return _distinct(cuts, 0.4 * width)


def _peaks(outline: _Outline, least: float, apart: int) -> list[int]:
    """Indices of the concave points: local maxima of turning along each outline."""
    found: list[int] = []
    for k, n in enumerate(outline.perimeter):
        offset = int(np.nonzero(outline.owner == k)[0][0])
        values = outline.turning[offset : offset + n]
        top = ndimage.maximum_filter1d(values, 2 * max(1, apart) + 1, mode="wrap")
        found += [offset + int(i) for i in np.nonzero((values >= top) & (values > least))[0]]
    return found


def _judge(
    outline: _Outline, i: int, near: NDArray[np.intp], picture: tuple[Mask, Grey, float], parameters: CutParameters
) -> list[Cut]:
    """The three best of the cuts from point ``i`` to the points ``near``; ``picture`` is mask, stain and width."""
    mask, stain, width = picture
    points, turning = outline.points, outline.turning
    typical = float(np.median(stain[mask]))
    t = np.linspace(0.0, 1.0, 13)[1:-1]
    start, ends = points[i], points[near]
    x = start[0] + (ends[:, :1] - start[0]) * t
    y = start[1] + (ends[:, 1:] - start[1]) * t
    inside = mask[np.rint(y).astype(int), np.rint(x).astype(int)].all(axis=1)
    near, ends, x, y = near[inside], ends[inside], x[inside], y[inside]
    if not near.size:
        return []
    length = np.hypot(*(ends - start).T)
    normal = np.stack([-(ends[:, 1] - start[1]), ends[:, 0] - start[0]], axis=1) / length[:, None]
    along = ndimage.map_coordinates(stain, [y, x], order=1).mean(axis=1)
    flanks = []
    for side in (-0.4 * width, 0.4 * width):
        sx, sy = x + side * normal[:, :1], y + side * normal[:, 1:]
        flanks.append(ndimage.map_coordinates(stain, [sy, sx], order=1).mean(axis=1))
    valley = 1.0 - along / np.maximum(np.minimum(*flanks), 0.2)
    opposite = np.clip(turning[near], 0.0, 1.0) + min(1.0, float(turning[i]))
    odds = (
        parameters.whole
        - parameters.length * length / width * np.minimum(1.5, along / typical)
        + parameters.valley * np.clip(valley, -0.5, 0.5) / 0.5
        - parameters.straight * (2.0 - opposite)
    )
    best = np.argsort(-odds)[:3]
    return [Cut((int(start[0]), int(start[1])), (int(ends[k][0]), int(ends[k][1])), float(odds[k])) for k in best]


def _distinct(cuts: list[Cut], apart: float) -> list[Cut]:
    """Drop cuts that nearly repeat a likelier one."""
    kept: list[Cut] = []
    for cut in cuts:
        ends = np.array([cut.start, cut.stop], float)
        for other in kept:
            theirs = np.array([other.start, other.stop], float)
            if min(np.abs(ends - theirs).max(), np.abs(ends[::-1] - theirs).max()) < apart:
                break
        else:
            kept.append(cut)
    return kept


def apply_cut(mask: Mask, cut: Cut) -> list[Mask]:
    """The pieces of a mask along a cut; the pixels of the cut itself go to the nearer piece."""
    open_mask = mask.astype(np.uint8)
    cv2.line(open_mask, cut.start, cut.stop, 0, 1, cv2.LINE_4)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(open_mask, connectivity=4)
    order = [int(n) + 1 for n in np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2] if stats[n + 1, cv2.CC_STAT_AREA] >= 4]
    if len(order) < 2:
        return [mask]
    near = ndimage.distance_transform_edt(~np.isin(labels, order), return_distances=False, return_indices=True)
    spread = labels[near[0], near[1]]
    return [mask & (spread == label) for label in order]
