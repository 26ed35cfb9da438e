"""Normalise metaphase images: bright stain, background 0, chromosomes about 1, known scale."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from karyotyping.arrays import Floats32, Grey, Mask, Pixels
from karyotyping.image.annotations import find_annotations
from karyotyping.image.field_of_view import field_of_view
from karyotyping.image.structures import Structures, best_structures, chromosome_width, measure_structures
from karyotyping.model import ContrastPolarity

CANONICAL_WIDTH = 12.0  # px, chromosome width in the inputs of the networks

_GAUSSIAN_MAD = 1.4826  # standard deviation over median absolute deviation
_MAX_STAIN = 2.0
_DENOISING_SIGMA = 0.6  # px
_MIN_FOREGROUND_SNR = 5.0  # grey above background over noise
_MIN_FOREGROUND = 0.01  # grey above background, 0..1
_HOT_PIXELS = 5e-4  # share of the brightest pixels that do not decide on the camera's range
_MIN_CONTRAST = 0.1  # grey above background, 0..1; fainter structures are compared with others
_MIN_COUNT = 8  # contours of one width; fewer are compared with other structures
_MAX_WIDTH = 80.0  # px; wider structures are compared with others
_MIN_CONTRAST_RATIO = 3.0  # ratio of contrasts from which other structures replace the first ones
_MIN_ROUNDS, _MAX_ROUNDS = 2, 6  # refinements of the threshold of the foreground
_MAX_RISE = 1.25  # ratio of two thresholds, up to which the later one is not needed
_MAX_STROKE = 14  # px of an annotation, with its rim, that is filled from both sides
_DEEP = 65535  # grey levels, of 16 bits; OpenCV fills floats with stripes
_FILL_RADIUS = 3  # px around a pixel that is filled
_FLOOR_SHARE = 0.25  # of the contrast of other structures: least threshold


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
    annotations: Mask
    """(H, W) letters, lines, scale bars and label boxes, which the stain is without."""

    @property
    def width(self) -> float:
        """Typical chromosome width, pixels."""
        return self.scale * CANONICAL_WIDTH


def normalise(pixels: Pixels) -> Normalised:
    """Measure and remove polarity, background, exposure and scale of an (H, W) grey image.

    Flat margins are outside the field of view and get stain 0, as wide annotations do; thin ones get that of their
    surroundings. Structures that are faint, few or too wide for chromosomes are compared with the best ones of either
    polarity. An image without any structure has contrast 0 and a stain of 0 everywhere.
    """
    grey = np.clip(pixels.astype(np.float32) / full_range(pixels), 0.0, 1.0)
    field = field_of_view(grey)
    annotations = np.zeros(grey.shape, bool)
    annotations[field] = find_annotations(grey[field])
    hidden = _remove_annotations(grey, annotations)
    first = _Signal.of(grey[field], find_polarity(grey[field]))
    chosen = first if first.is_plausible() else _clearest(grey[field], first)
    level = chosen.structures.contrast
    stain = np.zeros(grey.shape, np.float32)
    if level > 0.0:
        stain[field] = np.clip(chosen.signal / level, 0.0, _MAX_STAIN)
        stain[hidden] = 0.0
    return Normalised(
        stain=stain,
        polarity=chosen.polarity,
        noise=chosen.noise,
        background_unevenness=chosen.unevenness,
        contrast=min(1.0, level),
        scale=(chromosome_width(chosen.foreground) or CANONICAL_WIDTH) / CANONICAL_WIDTH,
        annotations=annotations,
    )


def _remove_annotations(grey: Grey, annotations: Mask) -> Mask:
    """Fill annotations of ``grey`` in place, and return the wide ones (H, W), which hide it.

    Strokes are continued from their surroundings (Telea 2004), so that a chromosome below a letter stays whole.
    """
    marks = annotations.astype(np.uint8)
    wide = cv2.morphologyEx(marks, cv2.MORPH_OPEN, np.ones((_MAX_STROKE + 1, _MAX_STROKE + 1), np.uint8))
    grey[wide > 0] = np.median(grey)
    if (marks > wide).any():
        filled = cv2.inpaint((_DEEP * grey).astype(np.uint16), marks - wide, _FILL_RADIUS, cv2.INPAINT_TELEA)
        grey[annotations] = filled[annotations] / np.float32(_DEEP)
    return wide > 0


@dataclass(frozen=True, slots=True)
class _Signal:
    """A field of view under one polarity."""

    polarity: ContrastPolarity
    signal: Grey
    noise: float
    unevenness: float
    foreground: Mask
    structures: Structures

    @classmethod
    def of(cls, grey: Grey, polarity: ContrastPolarity, floor: float = _MIN_FOREGROUND) -> _Signal:
        """Return the signal above background; its thin foreground is at least ``floor``."""
        signal = grey if polarity == "light_on_dark" else 1.0 - grey
        surface = background(signal)
        signal = np.asarray(cv2.GaussianBlur(signal - surface, (0, 0), _DENOISING_SIGMA), np.float32)
        noise = _background_noise(signal)
        foreground = thin_foreground(signal, max(_MIN_FOREGROUND_SNR * noise, floor))
        structures = measure_structures(signal, foreground)
        return cls(polarity, signal, noise, float(np.ptp(surface)), foreground, structures)

    def is_plausible(self) -> bool:
        """Return whether the foreground may be the chromosomes of a metaphase."""
        found = self.structures
        return found.contrast >= _MIN_CONTRAST and found.count >= _MIN_COUNT and found.width <= _MAX_WIDTH


def _clearest(grey: Grey, first: _Signal) -> _Signal:
    """Return the signal under the polarity, and above the floor, of the best structures."""
    other: ContrastPolarity = "dark_on_light" if first.polarity == "light_on_dark" else "light_on_dark"
    signals = [first, _Signal.of(grey, other)]
    best = [best_structures(one.signal) for one in signals]
    k = int(np.argmax([found.score for found in best]))
    if best[k].score == 0.0:
        return first
    if best[k].contrast > _MIN_CONTRAST_RATIO * signals[k].structures.contrast:
        return _Signal.of(grey, signals[k].polarity, _FLOOR_SHARE * best[k].contrast)
    return signals[k]


def full_range(pixels: Pixels) -> float:
    """Return the largest grey value of the camera: 10, 12 and 14 bits are stored in 16.

    A few hot pixels do not count.

    >>> full_range(np.array([[4000]], np.uint16))
    4095.0
    """
    if pixels.dtype == np.uint8:
        return 255.0
    rank = max(0, pixels.size - 1 - int(_HOT_PIXELS * pixels.size))
    brightest = int(np.partition(pixels.ravel(), rank)[rank]) if pixels.size else 0
    bits = next(n for n in (8, 10, 12, 14, 16) if brightest < 2**n)
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

    The grey of most edges gives the first threshold. Halos and stains of the background lower it, so half of the inner
    brightness replaces it, until that hardly changes.

    Args:
        signal: (H, W) light on dark, background 0.
        floor: least threshold, in the unit of ``signal``.
    """
    threshold = edge_grey(signal, floor)
    thin = np.zeros(signal.shape, bool)
    for number in range(_MAX_ROUNDS):
        foreground = signal > threshold
        thin = foreground & ~thick_parts(foreground)
        if not thin.any():
            break
        before, threshold = threshold, max(floor, 0.5 * float(np.quantile(signal[thin], 0.75)))
        if number >= _MIN_ROUNDS - 1 and threshold <= _MAX_RISE * before:
            break
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
    width = chromosome_width(foreground) or CANONICAL_WIDTH
    depth = cv2.distanceTransform(foreground.astype(np.uint8), cv2.DIST_L2, 5)
    core = (depth > max(1.5 * width, 6.0)).astype(np.uint8)
    if not core.any():
        return np.zeros_like(foreground)
    distance = cv2.distanceTransform(1 - core, cv2.DIST_L2, 5)
    return np.asarray(distance < 2.6 * width + 6.0, bool)
