"""Normalise metaphase images: bright stain, background 0, chromosomes about 1, known scale."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from karyotyping.arrays import Floats32, Grey, Mask, Pixels
from karyotyping.model import ContrastPolarity

CANONICAL_WIDTH = 12.0  # px, chromosome width in the inputs of the networks

_GAUSSIAN_MAD = 1.4826  # standard deviation over median absolute deviation
_MAX_STAIN = 2.0
_DENOISING_SIGMA = 0.6  # px
_MIN_FOREGROUND_SNR = 5.0  # grey above background over noise
_MIN_FOREGROUND = 0.01  # grey above background, 0..1
_MIN_CONTOUR_AREA = 25.0  # px^2, smaller contours give no width
_MIN_SOLIDITY = 0.75  # contour area over area of its convex hull
_MAX_WIDTH_WEIGHT = 40.0  # px, cap on the length that weighs a contour's width


@dataclass(frozen=True, slots=True)
class Normalised:
    """A metaphase image after removal of polarity, background, exposure; with its scale."""

    stain: Grey
    """(H, W) 0..2: background is 0, chromosomes are about 1, whatever the polarity of the image."""
    polarity: ContrastPolarity
    noise: float
    """Robust standard deviation of the background, share of the full range, 0..1."""
    background_unevenness: float
    """Range of the background surface, share of the full range, 0..1."""
    contrast: float
    """Median stain of the thin foreground, share of the full range, 0..1."""
    scale: float
    """Chromosome width in pixels over ``CANONICAL_WIDTH``."""

    @property
    def width(self) -> float:
        """Typical chromosome width, pixels."""
        return self.scale * CANONICAL_WIDTH


def normalise(pixels: Pixels) -> Normalised:
    """Measure and remove polarity, uneven background and exposure, and estimate the scale.

    Args:
        pixels: (H, W) grey. An image without structure gives contrast 0 and a stain of 0 everywhere.
    """
    grey = pixels.astype(np.float32) / full_range(pixels)
    polarity = find_polarity(grey)
    signal = grey if polarity == "light_on_dark" else 1.0 - grey
    surface = background(signal)
    signal = np.asarray(cv2.GaussianBlur(signal - surface, (0, 0), _DENOISING_SIGMA), np.float32)
    noise = _background_noise(signal)
    foreground = thin_foreground(signal, max(_MIN_FOREGROUND_SNR * noise, _MIN_FOREGROUND))
    level = float(np.median(signal[foreground])) if foreground.any() else 0.0
    stain = np.clip(signal / level, 0.0, _MAX_STAIN) if level > 0.0 else np.zeros_like(signal)
    return Normalised(
        stain=stain.astype(np.float32),
        polarity=polarity,
        noise=noise,
        background_unevenness=float(np.ptp(surface)),
        contrast=min(1.0, level),
        scale=chromosome_width(foreground) / CANONICAL_WIDTH,
    )


def full_range(pixels: Pixels) -> float:
    """Return the largest grey value of the camera: 10, 12 and 14 bits are stored in 16.

    >>> full_range(np.array([[4000]], np.uint16))
    4095.0
    """
    bits = next(n for n in (8, 10, 12, 14, 16) if int(pixels.max(initial=0)) < 2**n)
    return float(2**bits - 1)


def find_polarity(grey: Grey) -> ContrastPolarity:
    """Return the side of the heavier tail about the most frequent grey value.

    Args:
        grey: (H, W) 0..1.

    >>> find_polarity(np.array([[0.2, 0.2, 0.2, 0.9]], np.float32))
    'light_on_dark'
    """
    histogram = cv2.calcHist([grey], [0], None, [256], [0.0, 1.0 + 1e-6]).ravel()  # the end is exclusive
    smooth = np.convolve(histogram, np.ones(5), mode="same")
    mode = int(np.argmax(smooth)) / 256
    return "light_on_dark" if float(np.mean(grey - mode)) >= 0.0 else "dark_on_light"


def background(signal: Grey, step: int = 8, rounds: int = 6) -> Grey:
    """Fit a quadratic surface to the background by iterative outlier rejection.

    Three rounds suffice for a field of chromosomes; fields that nuclei dominate need more.

    Args:
        signal: (H, W) light on dark, 0..1.
        step: factor of reduction for the fit, pixels.
        rounds: refits without the pixels farther than 2.5 robust standard deviations.

    Returns:
        The (H, W) surface.
    """
    height, width = signal.shape
    small = cv2.resize(signal, (max(4, width // step), max(4, height // step)), interpolation=cv2.INTER_AREA)
    terms = _quadratic_terms(*small.shape)
    values = small.ravel()
    keep = values <= np.quantile(values, 0.7)
    coefficients = np.zeros(terms.shape[1], np.float32)
    for _ in range(rounds):
        kept = terms[keep]  # Normal equations are faster; lstsq because they are singular for collinear pixels.
        coefficients = np.linalg.lstsq(kept.T @ kept, kept.T @ values[keep], rcond=None)[0]
        residual = values - terms @ coefficients
        spread = _GAUSSIAN_MAD * float(np.median(np.abs(residual[keep]))) + 1e-3
        keep = np.abs(residual) < 2.5 * spread
        if keep.sum() < 2 * terms.shape[1]:
            return np.full_like(signal, float(np.median(values)))
    # Rows times coefficients times columns is fifty times faster than six terms for each pixel.
    constant, x, y, xy, xx, yy = coefficients
    columns, rows = (
        np.stack([np.ones(n), t := np.linspace(-1, 1, n), t * t]).astype(np.float32) for n in (width, height)
    )
    mixed = np.array([(constant, x, xx), (y, xy, 0), (yy, 0, 0)], np.float32)
    return np.asarray(rows.T @ mixed @ columns)


def _quadratic_terms(height: int, width: int) -> Floats32:
    """Return (height * width, 6) terms 1, x, y, xy, x^2, y^2 over -1..1."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=-1)
    return terms.reshape(height * width, -1).astype(np.float32)


def _background_noise(signal: Grey) -> float:
    """Return the robust standard deviation of the darker half of the pixels."""
    darker = signal[signal <= np.quantile(signal, 0.5)]
    return float(_GAUSSIAN_MAD * np.median(np.abs(darker - np.median(darker))))


def thin_foreground(signal: Grey, floor: float) -> Mask:
    """Segment thin structures at half of their brightness, without thick ones (nuclei).

    The grey of most edges gives the first threshold. Halos lower it, so half of the inner brightness replaces it.

    Args:
        signal: (H, W) light on dark, background 0.
        floor: least threshold, in the unit of ``signal``.
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
    """Return the grey level, at least ``floor``, at which most outlines of an image are.

    Otsu's threshold follows the nuclei, which may be many times brighter than chromosomes and cover more pixels.
    Chromosomes have most of the outline, so the level whose contour line collects the most relative contrast is
    taken. By the coarea formula it is the mode of log grey weighted by its squared gradient.
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
    """Return the parts of a foreground much thicker than a chromosome, with their blurred rim."""
    width = chromosome_width(foreground)
    depth = cv2.distanceTransform(foreground.astype(np.uint8), cv2.DIST_L2, 5)
    core = (depth > max(1.5 * width, 6.0)).astype(np.uint8)
    if not core.any():
        return np.zeros_like(foreground)
    distance = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5)
    return np.asarray(distance < 2.6 * width + 6.0, bool)


def chromosome_width(*foregrounds: Mask) -> float:
    """Return the weighted median width of the compact contours, pixels.

    The width of a contour is that of the rectangle with its area and with the perimeter of its convex hull:
    ``a = w l``, ``p = 2 (w + l)``. An open X (two chromatids) counts as one chromosome, where a distance transform
    would measure one chromatid. Weights are capped lengths, so that the few nuclei do not decide.

    Args:
        foregrounds: (H, W) each.

    Returns:
        ``CANONICAL_WIDTH`` if no contour is compact.
    """
    outlines = [
        cv2.findContours(foreground.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
        for foreground in foregrounds
    ]
    widths, lengths = [], []
    for contour in chain.from_iterable(outlines):
        area, hull = cv2.contourArea(contour), cv2.convexHull(contour)
        if area > _MIN_CONTOUR_AREA and area > _MIN_SOLIDITY * cv2.contourArea(hull):
            half = cv2.arcLength(hull, True) / 4.0
            widths.append(half - np.sqrt(max(0.0, half**2 - area)))
            lengths.append(min(half, _MAX_WIDTH_WEIGHT))
    if not widths:
        return CANONICAL_WIDTH
    order = np.argsort(widths)
    weight = np.cumsum(np.asarray(lengths)[order])
    return float(np.asarray(widths)[order][np.searchsorted(weight, 0.5 * weight[-1])])
