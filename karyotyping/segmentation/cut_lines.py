"""Candidate cuts between two chromosomes: short, pale, between concave outline points."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from karyotyping.arrays import Floats, Grey, Ints, Mask

_MIN_OUTLINE_POINTS = 6
_MIN_DETOUR = 1.5  # distance along the outline over distance across
_FLANK_DISTANCE = 0.4  # chromosome widths from a cut to the stain it is compared with
_MAX_CUTS_PER_POINT = 3
_MIN_CUT_DISTANCE = 0.4  # chromosome widths between the ends of distinct cuts


@dataclass(frozen=True, slots=True)
class CutParameters:
    """Terms of the log odds of a cut; lengths are in chromosome widths."""

    whole: float = 3.0
    """Log odds of a cut of length 0 between two concave points."""
    length: float = 1.6
    """Penalty per width of length, weighted by the stain along the cut."""
    valley: float = 2.0
    """Bonus of a cut with half the stain of its flanks."""
    straight: float = 1.2
    """Penalty of an end that is not concave."""
    max_length: float = 2.5
    """Largest length of a cut."""
    concave: float = 0.45
    """Least turning of the outline at a concave point, radians."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A straight border across a region."""

    start: tuple[int, int]
    """x, y"""
    stop: tuple[int, int]
    """x, y"""
    log_odds: float
    """Log odds that the cut separates two chromosomes."""


def outlines(mask: Mask) -> list[NDArray[np.int32]]:
    """Return the closed outlines of an (h, w) mask, holes included, each (N, 2) x, y."""
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(c[:, 0, :], np.int32) for c in contours if len(c) >= _MIN_OUTLINE_POINTS]


def concavity(outline: NDArray[np.int32], step: float) -> Floats:
    """Return the turning angle at every outline point, positive where the region is concave.

    Args:
        outline: (N, 2) x, y in the order of OpenCV.
        step: distance to the neighbours that span the angle, pixels.

    Returns:
        (N,) radians.
    """
    n = len(outline)
    arm = max(2, min(round(step), n // 4))
    smooth = ndimage.gaussian_filter1d(outline.astype(float), max(0.7, 0.25 * arm), axis=0, mode="wrap")
    before, after = smooth - np.roll(smooth, arm, axis=0), np.roll(smooth, -arm, axis=0) - smooth
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.asarray(np.arctan2(cross, np.sum(before * after, axis=1)), np.float64)


@dataclass(frozen=True, slots=True)
class _Outlines:
    """All N outline points of a region, one outline after the other."""

    points: Floats
    """(N, 2) x, y"""
    turning: Floats
    """(N,) radians"""
    outline: Ints
    """(N,) index of the outline"""
    position: Ints
    """(N,) index along the outline"""
    perimeter: Ints
    """Points of each outline"""

    @classmethod
    def of(cls, mask: Mask, width: float) -> _Outlines | None:
        """Return the outlines of a region, None if it is too small."""
        lines = outlines(mask)
        if not lines:
            return None
        return cls(
            points=np.concatenate(lines).astype(float),
            turning=np.concatenate([concavity(line, 0.5 * width) for line in lines]),
            outline=np.concatenate([np.full(len(line), k) for k, line in enumerate(lines)]),
            position=np.concatenate([np.arange(len(line)) for line in lines]),
            perimeter=np.array([len(line) for line in lines]),
        )

    def across(self, i: int, max_length: float) -> NDArray[np.intp]:
        """Return points within ``max_length`` of point ``i`` and much farther along the outline."""
        chord = np.hypot(*(self.points - self.points[i]).T)
        arc = np.abs(self.position - self.position[i])
        same = self.outline == self.outline[i]
        arc = np.where(same, np.minimum(arc, self.perimeter[self.outline[i]] - arc), np.inf)
        return np.nonzero((chord < max_length) & (chord > 1.0) & (arc > _MIN_DETOUR * chord))[0]


def find_cuts(mask: Mask, stain: Grey, width: float, parameters: CutParameters) -> list[Cut]:
    """Return candidate cuts from concave points across a region, likeliest first.

    Args:
        mask: (h, w) of the region.
        stain: (h, w) of its crop.
        width: chromosome width, pixels.
        parameters: terms of the log odds.
    """
    region = _Outlines.of(mask, width)
    if region is None:
        return []
    cuts: list[Cut] = []
    for i in _concave_points(region, parameters.concave, round(0.3 * width)):
        ends = region.across(i, parameters.max_length * width)
        cuts += _cuts_from(region, i, ends, (mask, stain, width), parameters)
    cuts.sort(key=lambda cut: -cut.log_odds)
    return _distinct(cuts, _MIN_CUT_DISTANCE * width)


def _concave_points(region: _Outlines, min_turning: float, min_distance: int) -> list[int]:
    """Return indices of the local maxima of turning along each outline."""
    indices: list[int] = []
    for k, n in enumerate(region.perimeter):
        offset = int(np.nonzero(region.outline == k)[0][0])
        values = region.turning[offset : offset + n]
        top = ndimage.maximum_filter1d(values, 2 * max(1, min_distance) + 1, mode="wrap")
        indices += [offset + int(i) for i in np.nonzero((values >= top) & (values > min_turning))[0]]
    return indices


def _cuts_from(
    region: _Outlines, i: int, candidates: NDArray[np.intp], crop: tuple[Mask, Grey, float], parameters: CutParameters
) -> list[Cut]:
    """Return the likeliest cuts from point ``i``; ``crop`` is mask, stain, chromosome width."""
    mask, stain, width = crop
    points, turning = region.points, region.turning
    typical = float(np.median(stain[mask]))
    t = np.linspace(0.0, 1.0, 13)[1:-1]
    start, ends = points[i], points[candidates]
    x = start[0] + (ends[:, :1] - start[0]) * t
    y = start[1] + (ends[:, 1:] - start[1]) * t
    inside = mask[np.rint(y).astype(int), np.rint(x).astype(int)].all(axis=1)
    candidates, ends, x, y = candidates[inside], ends[inside], x[inside], y[inside]
    if not candidates.size:
        return []
    length = np.hypot(*(ends - start).T)
    normal = np.stack([-(ends[:, 1] - start[1]), ends[:, 0] - start[0]], axis=1) / length[:, None]
    along = ndimage.map_coordinates(stain, [y, x], order=1).mean(axis=1)
    flanks = []
    for distance in (-_FLANK_DISTANCE * width, _FLANK_DISTANCE * width):
        sx, sy = x + distance * normal[:, :1], y + distance * normal[:, 1:]
        flanks.append(ndimage.map_coordinates(stain, [sy, sx], order=1).mean(axis=1))
    valley = 1.0 - along / np.maximum(np.minimum(*flanks), 0.2)
    concave_ends = np.clip(turning[candidates], 0.0, 1.0) + min(1.0, float(turning[i]))
    log_odds = (
        parameters.whole
        - parameters.length * length / width * np.minimum(1.5, along / typical)
        + parameters.valley * np.clip(valley, -0.5, 0.5) / 0.5
        - parameters.straight * (2.0 - concave_ends)
    )
    best = np.argsort(-log_odds)[:_MAX_CUTS_PER_POINT]
    return [Cut((int(start[0]), int(start[1])), (int(ends[k][0]), int(ends[k][1])), float(log_odds[k])) for k in best]


def _distinct(cuts: list[Cut], min_distance: float) -> list[Cut]:
    """Drop cuts whose ends are near those of a likelier one."""
    kept: list[Cut] = []
    for cut in cuts:
        ends = np.array([cut.start, cut.stop], float)
        for other in kept:
            theirs = np.array([other.start, other.stop], float)
            if min(np.abs(ends - theirs).max(), np.abs(ends[::-1] - theirs).max()) < min_distance:
                break
        else:
            kept.append(cut)
    return kept


def apply_cut(mask: Mask, cut: Cut) -> list[Mask]:
    """Split an (h, w) mask along a cut; pixels of the cut go to the nearer piece.

    Returns:
        The two largest pieces, or the mask itself if the cut does not split it.
    """
    open_mask = mask.astype(np.uint8)
    cv2.line(open_mask, cut.start, cut.stop, 0, 1, cv2.LINE_4)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(open_mask, connectivity=4)
    order = [int(n) + 1 for n in np.argsort(-stats[1:, cv2.CC_STAT_AREA])[:2] if stats[n + 1, cv2.CC_STAT_AREA] >= 4]
    if len(order) < 2:
        return [mask]
    nearest = ndimage.distance_transform_edt(~np.isin(labels, order), return_distances=False, return_indices=True)
    grown = labels[nearest[0], nearest[1]]
    return [mask & (grown == label) for label in order]
