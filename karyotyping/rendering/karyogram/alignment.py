"""A chromosome ready to be set: upright, without the white beside it, and how far down its centromere is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from karyotyping.model import Chromosome
from karyotyping.nomenclature.ideogram import centromere_index, relative_length

LONGEST = 170
"""Length on the page of a chromosome 1 of the cell's condensation."""
_HIGHEST = 320
"""Length beyond which nothing is drawn; one merged pair must not make a poster of the page."""
_LARGEST_SCALE = 4.0
_USUAL_WIDTH = 24
_WHITE = 250
_BELIEVABLE = 0.12
"""A measured centromere further than this from where its class has it was mismeasured, and is not used to align."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large the chromosomes of a cell are drawn."""

    factor: float
    """Pixels on the page for one of the photograph."""
    haploid: float
    """Length on the page of a whole haploid set of autosomes."""
    width: int
    """Typical width of a chromosome on the page."""

    def length(self, class_id: int) -> int:
        """The length on the page at which a chromosome of this class is expected."""
        return round(relative_length(class_id) * self.haploid)


@dataclass(frozen=True, slots=True)
class Upright:
    """A chromosome p arm up, as far as that is known."""

    chromosome: Chromosome
    pixels: NDArray[np.uint8]
    """(h, w) grey at the resolution of the photograph."""
    width: int
    height: int
    above: int
    """Pixels on the page from the upper end to the centromere, of ``height``."""


def scale_of(chromosomes: Sequence[Chromosome]) -> Scale:
    """One scale for the whole cell, from what its chromosomes' lengths say together."""
    lengths = [item.straightened.shape[0] for item in chromosomes]
    known = [
        length / relative_length(item.class_id)
        for item, length in zip(chromosomes, lengths, strict=True)
        if item.class_id is not None
    ]
    longest = max(lengths, default=LONGEST)
    haploid = float(np.median(known)) if known else longest / relative_length(1)
    factor = min(LONGEST / (haploid * relative_length(1)), _HIGHEST / longest, _LARGEST_SCALE)
    width = factor * float(np.median([_trimmed(item.straightened).shape[1] for item in chromosomes] or [_USUAL_WIDTH]))
    return Scale(factor, factor * haploid, max(8, round(width)))


def upright(chromosome: Chromosome, scale: Scale) -> Upright:
    """``chromosome`` with its p arm up, as far as that is known."""
    pixels = _trimmed(chromosome.straightened)
    if chromosome.orientation == "p_down":
        pixels = pixels[::-1, ::-1]
    height, width = (max(1, round(side * scale.factor)) for side in pixels.shape)
    return Upright(chromosome, np.ascontiguousarray(pixels), width, height, round(_p_share(chromosome) * height))


def _p_share(chromosome: Chromosome) -> float:
    if chromosome.class_id is None:
        return 0.5
    expected, measured = centromere_index(chromosome.class_id), chromosome.centromere_index
    return measured if measured is not None and abs(measured - expected) < _BELIEVABLE else expected


def _trimmed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``pixels`` without the white columns on both sides."""
    inked = np.flatnonzero((pixels < _WHITE).any(axis=0))
    return pixels[:, inked[0] : inked[-1] + 1] if len(inked) else pixels
