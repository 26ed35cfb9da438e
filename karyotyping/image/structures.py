"""Recognise chromosomes without a network: many compact contours of one width.

Grain, nuclei, frames, bars and letters are structures too. Each of them lacks one of three properties of a metaphase:
much outline, one width, contrast. ``best_structures`` searches the threshold at which their product is largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from karyotyping.arrays import Floats, Grey, Mask

_MIN_CONTOUR_AREA = 25.0  # px^2, smaller contours give no width
_MIN_SOLIDITY = 0.75  # contour area over area of its convex hull
_MAX_WIDTH_WEIGHT = 40.0  # px, cap on the length that weighs a contour's width
_MIN_POINTS = 14  # points of a contour that is measured in the search
_MAX_CONTOURS = 400  # longest contours that are measured at one threshold; bounds the work on grain
_WIDTH_TOLERANCE = 0.35  # |log| of a width over the typical one
_MAX_OUTLINE = 1500.0  # typical widths; a metaphase has 200 to 600
_THRESHOLDS = np.geomspace(0.02, 0.9, 12)  # of the 99.9th percentile of the signal
_MIN_COUNT = 5  # contours of one width, for a metaphase
_MIN_WIDTH = 4.0  # px


@dataclass(frozen=True, slots=True)
class Structures:
    """The compact contours of one foreground."""

    count: int
    """Contours of about the typical width."""
    width: float
    """Typical width, pixels; 0 if no contour is compact."""
    outline: float
    """Summed hull perimeters of the counted contours, in typical widths."""
    contrast: float
    """Median signal of the foreground, 0..1."""

    @property
    def score(self) -> float:
        """Contrast times outline; 0 of what cannot be a metaphase."""
        usable = self.count >= _MIN_COUNT and self.width >= _MIN_WIDTH
        return self.contrast * min(self.outline, _MAX_OUTLINE) if usable else 0.0


def chromosome_width(*foregrounds: Mask) -> float | None:
    """Return the weighted median width, pixels, of the compact contours; None without one.

    The width of a contour is that of the rectangle with its area and with the perimeter of its convex hull:
    ``a = w l``, ``p = 2 (w + l)``. An open X (two chromatids) counts as one chromosome, where a distance transform
    would measure one chromatid. Weights are capped lengths, so that the few nuclei do not decide.

    Args:
        foregrounds: (H, W) each. Contours inside a closed line count like those outside.
    """
    shapes = [_contour_shapes(foreground) for foreground in foregrounds]
    widths, halves = (np.concatenate([shape[k] for shape in shapes]) for k in (0, 1))
    return _weighted_median(widths, np.minimum(halves, _MAX_WIDTH_WEIGHT)) if len(widths) else None


def measure_structures(signal: Grey, foreground: Mask) -> Structures:
    """Return the structures of a foreground.

    Args:
        signal: (H, W) light on dark, background 0.
        foreground: (H, W)
    """
    widths, halves = _contour_shapes(foreground, longest=_MAX_CONTOURS)
    contrast = float(np.median(signal[foreground])) if foreground.any() else 0.0
    if not len(widths):
        return Structures(0, 0.0, 0.0, contrast)
    typical = _weighted_median(widths, np.minimum(halves, _MAX_WIDTH_WEIGHT))
    alike = np.abs(np.log(np.maximum(widths, 1e-3) / typical)) < _WIDTH_TOLERANCE
    return Structures(int(alike.sum()), typical, float(4.0 * halves[alike].sum() / typical), contrast)


def best_structures(signal: Grey) -> Structures:
    """Return the structures of the threshold with the highest score."""
    top = float(np.quantile(signal, 0.999))
    candidates = [measure_structures(signal, signal > share * top) for share in _THRESHOLDS] if top > 0 else []
    return max(candidates, key=lambda found: found.score, default=Structures(0, 0.0, 0.0, 0.0))


def _contour_shapes(foreground: Mask, longest: int | None = None) -> tuple[Floats, Floats]:
    """Return widths and half hull perimeters over 2, pixels, of the compact contours, (N,) each."""
    # RETR_CCOMP: a component inside a hole of another one, as within a frame, has an outline of its own.
    contours, levels = cv2.findContours(foreground.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outer = [
        contour
        for contour, level in zip(contours, chain(*(levels if levels is not None else ())), strict=True)
        if level[3] < 0
    ]
    if longest is not None:
        outer = sorted((contour for contour in outer if len(contour) >= _MIN_POINTS), key=len, reverse=True)[:longest]
    widths, halves = [], []
    for contour in outer:
        area, hull = cv2.contourArea(contour), cv2.convexHull(contour)
        if area > _MIN_CONTOUR_AREA and area > _MIN_SOLIDITY * cv2.contourArea(hull):
            half = cv2.arcLength(hull, True) / 4.0
            widths.append(half - np.sqrt(max(0.0, half**2 - area)))
            halves.append(half)
    return np.array(widths, np.float64), np.array(halves, np.float64)


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    weight = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(weight, 0.5 * weight[-1])])
