"""Bring any metaphase photograph to one convention: stain is bright, background is 0, a chromosome is about 1."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.arrays import Grey, Mask
from karyotyping.model import ContrastPolarity

CANONICAL_WIDTH = 12.0
"""Chromosome width, in pixels, of the scale at which networks look at chromosomes."""


@dataclass(frozen=True, slots=True)
class Normalised:
    """A photograph whose polarity, background, exposure and scale have been taken out."""

    stain: Grey
    """(H, W): 0 background, about 1 chromosome, whatever the polarity of the photograph; clipped to 0..2."""
    polarity: ContrastPolarity
    noise: float
    """Robust standard deviation of the background over the full range of the photograph, 0..1."""
    background_unevenness: float
    """Spread of the fitted background over the full range of the photograph, 0..1."""
    contrast: float
    """Median stain of what looks like chromosomes over the full range of the photograph, 0..1."""
    scale: float
    """Chromosome width in pixels over ``CANONICAL_WIDTH``."""

    @property
    def width(self) -> float:
        """Typical chromosome width, pixels."""
        return self.scale * CANONICAL_WIDTH


def normalise(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Normalised:
    """Measure and remove polarity, uneven background, exposure and scale of an (H, W) grey photograph.

    An image without any structure comes back with contrast 0 and a stain of 0 everywhere.
    """
    grey = pixels.astype(np.float32) / full_range(pixels)
    polarity = find_polarity(grey)
    signal = grey if polarity == "light_on_dark" else 1.0 - grey
    surface = background(signal)
    signal = np.asarray(cv2.GaussianBlur(signal - surface, (0, 0), 0.6), np.float32)
    noise = _spread_of_background(signal)
    foreground = thin_foreground(signal, max(5.0 * noise, 0.01))
    level = float(np.median(signal[foreground])) if foreground.any() else 0.0
    stain = np.clip(signal / level, 0.0, 2.0) if level > 0.0 else np.zeros_like(signal)
    return Normalised(
        stain=stain.astype(np.float32),
        polarity=polarity,
        noise=noise,
        background_unevenness=float(np.ptp(surface)),
        contrast=min(1.0, level),
        scale=chromosome_width(foreground) / CANONICAL_WIDTH,
    )


def full_range(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> float:
    """The largest value that the camera could give: cameras of 10, 12 and 14 bits are stored in 16.

    >>> full_range(np.array([[4000]], np.uint16))
    4095.0
    """
    bits = next(n for n in (8, 10, 12, 14, 16) if int(pixels.max(initial=0)) < 2**n)
    return float(2**bits - 1)


def find_polarity(grey: Grey) -> ContrastPolarity:
    """Which side of the background the stain lies on: the heavier tail around the most frequent grey."""
    histogram = cv2.calcHist([grey], [0], None, [256], [0.0, 1.0 + 1e-6]).ravel()  # the end is exclusive
    smooth = np.convolve(histogram, np.ones(5), mode="same")
    mode = int(np.argmax(smooth)) / 256
    return "light_on_dark" if float(np.mean(grey - mode)) >= 0.0 else "dark_on_light"


def background(signal: Grey, step: int = 8, rounds: int = 6) -> Grey:
    """A quadratic surface through the background of a light-on-dark image, refitted without what lies above it.

    Three rounds suffice for a field of chromosomes; the others are for fields that nuclei dominate.
    """
    height, width = signal.shape
    small = cv2.resize(signal, (max(4, width // step), max(4, height // step)), interpolation=cv2.INTER_AREA)
    terms = _quadratic_terms(*small.shape)
    values = small.ravel()
    keep = values <= np.quantile(values, 0.7)
    coefficients = np.zeros(terms.shape[1], np.float32)
    for _ in range(rounds):
        kept = terms[keep]  # Their normal equations are quicker to solve, and singular where they lie on a line.
        coefficients = np.linalg.lstsq(kept.T @ kept, kept.T @ values[keep], rcond=None)[0]
        residual = values - terms @ coefficients
        spread = 1.4826 * float(np.median(np.abs(residual[keep]))) + 1e-3
        keep = np.abs(residual) < 2.5 * spread
        if keep.sum() < 2 * terms.shape[1]:
            return np.full_like(signal, float(np.median(values)))
    # All pixels at once as rows times terms times columns: six terms for each take fifty times as long.
    constant, x, y, xy, xx, yy = coefficients
    across, down = (
        np.stack([np.ones(n), t := np.linspace(-1, 1, n), t * t]).astype(np.float32) for n in (width, height)
    )
    mixed = np.array([(constant, x, xx), (y, xy, 0), (yy, 0, 0)], np.float32)
    return np.asarray(down.T @ mixed @ across)


def _quadratic_terms(height: int, width: int) -> Grey:
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    return terms.reshape(height * width, -1).astype(np.float32)


def _spread_of_background(signal: Grey) -> float:
    below = signal[signal <= np.quantile(signal, 0.5)]
    return float(1.4826 * np.median(np.abs(below - np.median(below))))


def thin_foreground(signal: Grey, floor: float) -> Mask:
    """Foreground of the thin structures: half as bright as they are, without what is thick (nuclei).

    The grey of most edges finds them; where halos lower it, half of the brightness inside is the sharper outline.
    """
    threshold = edge_grey(signal, floor)
    thin = np.zeros(signal.shape, bool)
    for _ in range(2):
        foreground = signal > threshold
        thin = foreground & ~thick_parts(foreground)
        if not thin.any():
            break
        threshold = max(floor, 0.5 * float(np.quantile(signal[thin], 0.75)))
    return thin


def edge_grey(signal: Grey, floor: float) -> float:
    """The grey at which most of the outlines in an image lie, above ``floor``.

    Otsu's threshold follows the nuclei, which can be many times brighter than chromosomes and cover more of the image.
    Chromosomes have most of the outline, though: this is the grey level whose level line collects the most relative
    contrast. By the coarea formula that is the mode of log grey weighted by its squared gradient.
    """
    level = np.log(np.maximum(signal, 0.0) + floor)
    gradient = cv2.Sobel(level, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(level, cv2.CV_32F, 0, 1) ** 2
    above = signal > floor
    if not above.any():
        return floor
    histogram, edges = np.histogram(level[above], bins=64, weights=gradient[above])
    smooth = np.convolve(histogram, np.hanning(13)[1:-1], mode="same")
    best = int(np.argmax(smooth))
    return max(floor, float(np.exp(0.5 * (edges[best] + edges[best + 1]))) - floor)


def thick_parts(foreground: Mask) -> Mask:
    """The parts of a foreground much thicker than most of its contours are, with a margin for their blurred rim."""
    width = chromosome_width(foreground)
    depth = cv2.distanceTransform(foreground.astype(np.uint8), cv2.DIST_L2, 5)
    core = (depth > max(1.5 * width, 6.0)).astype(np.uint8)
    if not core.any():
        return np.zeros_like(foreground)
    reach = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5)
    return np.asarray(reach < 2.6 * width + 6.0, bool)


def chromosome_width(*foregrounds: Mask) -> float:
    """Typical width of the compact contours in some foregrounds, pixels; ``CANONICAL_WIDTH`` if there are none.

    The width of a contour is that of the strip with its area and the perimeter of its convex hull: ``a = w l``,
    ``p = 2 (w + l)``. It reads an open X (two chromatids) as one chromosome, where a distance transform would read one
    chromatid. Every contour large enough has one vote, so that nuclei, which are few, do not decide.
    """
    outlines = [
        cv2.findContours(foreground.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        for foreground in foregrounds
    ]
    widths, lengths = [], []
    for contour in chain.from_iterable(outlines):
        area, hull = cv2.contourArea(contour), cv2.convexHull(contour)
        if area > 25.0 and area > 0.75 * cv2.contourArea(hull):
            half = cv2.arcLength(hull, True) / 4.0
            widths.append(half - np.sqrt(max(0.0, half**2 - area)))
            lengths.append(min(half, 40.0))
    if not widths:
        return CANONICAL_WIDTH
    order = np.argsort(widths)
    weight = np.cumsum(np.asarray(lengths)[order])
    return float(np.asarray(widths)[order][np.searchsorted(weight, 0.5 * weight[-1])])
