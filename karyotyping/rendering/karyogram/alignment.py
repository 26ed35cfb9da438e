"""Chromosomes aligned for the page: p arm up, cropped, scaled, with their centromere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome
from karyotyping.nomenclature.ideogram import centromere_index, relative_length

_CHROMOSOME_1_LENGTH = 170  # px on the page, expected length of chromosome 1 in this cell
_MAX_LENGTH = 320  # px on the page, longest chromosome; limits the effect of a merged pair
_MAX_SCALE = 4.0  # px on the page for one of the image
_DEFAULT_WIDTH = 24  # px of the image, chromosome width of an empty cell
_WHITE = 250  # grey level, 0..255
_MAX_CENTROMERE_ERROR = 0.12  # share of the length; beyond it the class's centromere replaces the measured one


@dataclass(frozen=True, slots=True)
class PageScale:
    """Scale of the chromosomes of a cell on the page."""

    factor: float
    """Pixels on the page for one of the metaphase image."""
    haploid: float
    """Length of a haploid set of autosomes, pixels on the page."""
    width: int
    """Median width of a chromosome, pixels on the page."""

    def length(self, class_id: int) -> int:
        """Return the expected length of a class, pixels on the page."""
        return round(relative_length(class_id) * self.haploid)


@dataclass(frozen=True, slots=True)
class AlignedChromosome:
    """A chromosome p arm up, unless its orientation is unknown. Lengths are pixels on the page."""

    chromosome: Chromosome
    pixels: NDArray[np.uint8]
    """(h, w) grey at the resolution of the picture."""
    width: int
    height: int
    centromere: int
    """Distance from the upper end to the centromere."""


def page_scale(chromosomes: Sequence[Chromosome]) -> PageScale:
    """Return the scale of a cell from the lengths of its classified chromosomes."""
    lengths = [item.length for item in chromosomes]
    known = [
        length / relative_length(item.class_id)
        for item, length in zip(chromosomes, lengths, strict=True)
        if item.class_id is not None
    ]
    longest = max(lengths, default=_CHROMOSOME_1_LENGTH)
    haploid = float(np.median(known)) if known else longest / relative_length(1)
    factor = min(_CHROMOSOME_1_LENGTH / (haploid * relative_length(1)), _MAX_LENGTH / longest, _MAX_SCALE)
    widths = [_trim_white(item.straightened).shape[1] * _pixel(item) for item in chromosomes]
    width = factor * float(np.median(widths or [_DEFAULT_WIDTH]))
    return PageScale(factor, factor * haploid, max(8, round(width)))


def align(chromosome: Chromosome, scale: PageScale) -> AlignedChromosome:
    """Return ``chromosome`` with its p arm up, unless its orientation is unknown."""
    pixels = _trim_white(chromosome.straightened)
    if chromosome.orientation == "p_down":
        pixels = pixels[::-1, ::-1]
    height, width = (max(1, round(side * _pixel(chromosome) * scale.factor)) for side in pixels.shape)
    centromere = round(_centromere_index(chromosome) * height)
    return AlignedChromosome(chromosome, np.ascontiguousarray(pixels), width, height, centromere)


def _pixel(chromosome: Chromosome) -> float:
    """Return the side of a pixel of the picture, pixels of the metaphase image."""
    return chromosome.length / len(chromosome.straightened)


def _centromere_index(chromosome: Chromosome) -> float:
    """Return the measured centromere index if plausible for the class, else the class's."""
    if chromosome.class_id is None:
        return 0.5
    expected, measured = centromere_index(chromosome.class_id), chromosome.centromere_index
    return measured if measured is not None and abs(measured - expected) < _MAX_CENTROMERE_ERROR else expected


def _trim_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``pixels`` (h, w) without the white columns on both sides."""
    stained = np.flatnonzero((pixels < _WHITE).any(axis=0))
    return pixels[:, stained[0] : stained[-1] + 1] if len(stained) else pixels
