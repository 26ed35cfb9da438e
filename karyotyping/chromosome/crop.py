"""A picture of one chromosome alone, as karyotype reports hold them: where it lies, and how it is stained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.measure import Measurement, measure_cell
from karyotyping.chromosome.medial_axis import largest_part
from karyotyping.segmentation.contours import ninth_decile

_MARGIN = 3
_FAINTEST = 5 / 255
"""Least stain, as a share of the full range, that is told from a clean background."""
_ABOVE_NOISE = 4.0
"""... and in standard deviations of a background that is not clean."""
_HALO, _EDGE = 0.2, 0.35
"""Shares of the ninth decile of the stain, which stands for a chromosome's dark bands, below which it is a halo: where
the background is clean or was taken off, and where it is not."""
_SAME = 0.06
"""Grey levels along the frame that differ less, as a share of the full range, may both be background."""
_NEARLY_ALL = 0.95
"""Share of the stained pixels from which a part is the whole."""
_SPECK = 12
"""Fewest pixels that can be a chromosome."""


@dataclass(frozen=True, slots=True)
class Crop:
    """One chromosome cut out of its background."""

    stain: NDArray[np.float32]
    """(h, w) 0 background .. 1 the camera's full range."""
    mask: NDArray[np.bool_]
    """(h, w) its body, in one piece."""


def segment_crop(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Crop:
    """Find the chromosome in (h, w) grey ``pixels``, whichever side of the background its stain lies on.

    The background is what lies along the frame; it may be wiped clean or have noise.

    Raises:
        ValueError: nothing stands out of the background.
    """
    grey = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    frame = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    level = _commonest(frame)
    near = np.abs(frame - level)
    noise = 1.4826 * float(np.median(near[near < _SAME]))
    deviation = grey - np.float32(level)
    stain = np.pad(np.maximum(deviation if deviation.sum() > 0 else -deviation, 0), _MARGIN)
    strong = ninth_decile(stain[stain > _FAINTEST]) if (stain > _FAINTEST).any() else 0.0
    threshold = max(_FAINTEST, _HALO * strong, min(_ABOVE_NOISE * noise, _EDGE * strong))
    if np.count_nonzero(stain > threshold) < _SPECK:
        raise ValueError("nothing in this picture stands out of its background; is it a chromosome?")
    mask = _body(stain, threshold)
    return Crop(np.where(mask, stain, np.float32(0)), mask)


def _body(stain: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """The largest part above ``threshold``, or above a lower one if that alone joins arms across a pale centromere."""
    for lower in (threshold, (threshold + _FAINTEST) / 2, _FAINTEST):
        above = stain > lower
        part = largest_part(above)
        if np.count_nonzero(part) > _NEARLY_ALL * np.count_nonzero(above):
            return part
    return largest_part(stain > threshold)


def trim_halo(stain: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``mask`` (h, w) without the blurred rim that an outline in a photograph takes in, or as it is if little is left.

    The rim would make short chromosomes look longer than they are, and all of them paler.
    """
    strong = ninth_decile(stain[mask])
    body = mask & (stain > _HALO * strong)
    return body if 2 * np.count_nonzero(body) > np.count_nonzero(mask) else mask


def measure_crops(crops: Sequence[Crop], typical: float | None = None) -> list[Measurement]:
    """Measure the chromosomes of one cell, whose ``typical`` stain (default: that of ``crops``) becomes 1."""
    if typical is None:
        typical = typical_stain(crops)
    return measure_cell([(crop.stain / np.float32(typical), crop.mask) for crop in crops])


def typical_stain(crops: Sequence[Crop]) -> float:
    """Median over chromosomes of their median stain; 1 if there are none."""
    medians = [np.median(crop.stain[crop.mask]) for crop in crops]
    return max(float(np.median(medians)), 1e-3) if medians else 1.0


def _commonest(values: NDArray[np.float32]) -> float:
    """The grey level that most ``values`` (0..1) are near to; a chromosome may lie along most of a tight frame."""
    counts, edges = np.histogram(values, bins=64, range=(0, 1))
    near = np.convolve(counts, (1, 2, 1), mode="same")
    k = int(near.argmax())
    return float(np.median(values[(values >= edges[max(k - 1, 0)]) & (values <= edges[min(k + 2, 64)])]))
