"""Crop of one chromosome, as in karyotype reports: segmentation and stain normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from karyotyping.arrays import Floats32, Grey, Mask, Pixels
from karyotyping.chromosome.measure import Measurement, measure_cell
from karyotyping.chromosome.medial_axis import largest_part
from karyotyping.segmentation.contours import Contour, ninth_decile

_PADDING = 3  # px
_MIN_STAIN = 5 / 255  # share of the full range: detectable stain on a clean background
_NOISE_FACTOR = 4.0  # standard deviations: detectable stain on a noisy background
_HALO_CLEAN = 0.2  # share of the dark bands' stain below which a pixel is halo, on a clean or subtracted background
_HALO_NOISY = 0.35  # the same on a noisy background
_BACKGROUND_RANGE = 0.06  # share of the full range: grey levels along the frame this close are background
_MAIN_PART_SHARE = 0.95  # share of the stained pixels above which one part is the whole chromosome
_MIN_PIXELS = 12  # area of a chromosome


@dataclass(frozen=True, slots=True)
class Crop:
    """One chromosome without its background."""

    stain: Grey
    """(h, w) 0 background .. 1 the camera's full range."""
    mask: Mask
    """(h, w) the chromosome's body, one connected part."""


def segment_crop(pixels: Pixels) -> Crop:
    """Segment the one chromosome of a crop, darker or lighter than its background.

    The grey level along the frame is the background, clean or noisy.

    Args:
        pixels: (h, w) grey values.

    Raises:
        ValueError: no pixels differ enough from the background.
    """
    grey = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    frame = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = _modal_level(frame)
    difference = np.abs(frame - level)
    noise = 1.4826 * float(np.median(difference[difference < _BACKGROUND_RANGE]))
    deviation = grey - np.float32(level)
    stain = np.pad(np.maximum(deviation if deviation.sum() > 0 else -deviation, 0), _PADDING)
    dark_band = ninth_decile(stain[stain > _MIN_STAIN]) if (stain > _MIN_STAIN).any() else 0.0
    threshold = max(_MIN_STAIN, _HALO_CLEAN * dark_band, min(_NOISE_FACTOR * noise, _HALO_NOISY * dark_band))
    if np.count_nonzero(stain > threshold) < _MIN_PIXELS:
        raise ValueError("nothing in this picture differs from its background; is it a chromosome?")
    mask = _body(stain, threshold)
    return Crop(np.where(mask, stain, np.float32(0)), mask)


def _body(stain: Grey, threshold: float) -> Mask:
    """Return the largest part above a threshold that joins the arms across a pale centromere."""
    for lower in (threshold, (threshold + _MIN_STAIN) / 2, _MIN_STAIN):
        above = stain > lower
        part = largest_part(above)
        if np.count_nonzero(part) > _MAIN_PART_SHARE * np.count_nonzero(above):
            return part
    return largest_part(stain > threshold)


def trim_halo(stain: Grey, mask: Mask) -> Mask:
    """Return ``mask`` without its blurred rim, or unchanged if less than half would remain.

    The rim of an outline in a metaphase image lengthens short chromosomes and lowers the mean stain of all.

    Args:
        stain: (h, w) 0 background, about 1 chromosome.
        mask: (h, w) outline of one chromosome.
    """
    dark_band = ninth_decile(stain[mask])
    body = mask & (stain > _HALO_CLEAN * dark_band)
    return body if 2 * np.count_nonzero(body) > np.count_nonzero(mask) else mask


def crop_region(stain: Grey, region: Contour) -> tuple[Grey, Mask]:
    """Return the stain (h, w) and the mask (h, w) of a region without its halo."""
    crop = region.crop(stain)
    return crop, trim_halo(crop, region.mask)


def measure_crops(crops: Sequence[Crop], typical: float | None = None) -> list[Measurement]:
    """Measure the chromosomes of one cell after division of their stain by ``typical``.

    Args:
        crops: the chromosomes of the cell.
        typical: stain that becomes 1, default: ``typical_stain(crops)``.
    """
    if typical is None:
        typical = typical_stain(crops)
    return measure_cell([(crop.stain / np.float32(typical), crop.mask) for crop in crops])


def typical_stain(crops: Sequence[Crop]) -> float:
    """Return the median over chromosomes of their median stain; 1 for no chromosomes.

    >>> typical_stain([])
    1.0
    """
    medians = [np.median(crop.stain[crop.mask]) for crop in crops]
    return max(float(np.median(medians)), 1e-3) if medians else 1.0


def _modal_level(values: Floats32) -> float:
    """Return the most frequent grey level of ``values`` (n,) 0..1."""
    counts, edges = np.histogram(values, bins=64, range=(0, 1))
    density = np.convolve(counts, (1, 2, 1), mode="same")
    k = int(density.argmax())
    return float(np.median(values[(values >= edges[max(k - 1, 0)]) & (values <= edges[min(k + 2, 64)])]))
