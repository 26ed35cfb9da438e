"""The human ideogram: ISCN bands of the 24 classes at the 400, 550 and 850 band levels.

``ideogram.csv`` holds one chromosome a line, its bands from the p telomere to the q telomere as
``name:stop:stain``, ``stop`` in ISCN units. Source: UCSC/NCBI ideogram, ISCN bands, public domain.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from karyotyping.nomenclature.classes import CLASS_NAMES

Resolution = Literal[400, 550, 850]
Stain = Literal["gneg", "gpos25", "gpos50", "gpos75", "gpos100", "acen", "gvar", "stalk"]
Banding = Literal["G", "Q", "DAPI"]

RESOLUTIONS: tuple[Resolution, ...] = (400, 550, 850)

_DENSITY: dict[Banding, dict[Stain, float]] = {
    "G": {"gneg": 0, "gpos25": 0.25, "gpos50": 0.5, "gpos75": 0.75, "gpos100": 1, "acen": 0.6, "gvar": 0.6, "stalk": 0},
    "Q": {
        "gneg": 0,
        "gpos25": 0.2,
        "gpos50": 0.4,
        "gpos75": 0.6,
        "gpos100": 0.75,
        "acen": 0.35,
        "gvar": 0.5,
        "stalk": 0,
    },
    "DAPI": {
        "gneg": 0,
        "gpos25": 0.1,
        "gpos50": 0.2,
        "gpos75": 0.3,
        "gpos100": 0.4,
        "acen": 0.5,
        "gvar": 0.5,
        "stalk": 0,
    },
}
# Heterochromatin answers each dye in its own way: AT-rich satellites shine in DAPI and, on Yq, in quinacrine.
_HETEROCHROMATIN: dict[Banding, dict[str, float]] = {
    "G": {"1q12": 0.9, "9q12": 0.25, "16q11.2": 0.9, "Yq12": 0.65},
    "Q": {"1q12": 0.3, "9q12": 0.1, "16q11.2": 0.3, "Yq12": 1.0},
    "DAPI": {"1q12": 1.0, "9q12": 1.0, "16q11.2": 1.0, "Yq12": 1.0, "15p11.2": 1.0},
}


@dataclass(frozen=True, slots=True)
class Band:
    """One band; ``start`` and ``stop`` are fractions of the chromosome's length from the p telomere."""

    name: str
    """With its arm, e.g. ``"q22.3"``."""
    arm: Literal["p", "q"]
    start: float
    stop: float
    stain: Stain


@dataclass(frozen=True, slots=True)
class _Ideogram:
    length: int
    bands: tuple[Band, ...]


@lru_cache(maxsize=1)
def _ideograms() -> dict[tuple[int, int], _Ideogram]:
    ideograms = {}
    with files("karyotyping.nomenclature").joinpath("ideogram.csv").open(encoding="ascii") as lines:
        for row in csv.DictReader(lines):
            fields = [band.split(":") for band in row["bands"].split()]
            stops = [int(stop) for _, stop, _ in fields]
            length = stops[-1]
            bands = tuple(
                Band(name, name[0], start / length, stop / length, stain)  # type: ignore[arg-type]
                for (name, _, stain), start, stop in zip(fields, [0, *stops[:-1]], stops, strict=True)
            )
            ideograms[int(row["resolution"]), CLASS_NAMES.index(row["chromosome"]) + 1] = _Ideogram(length, bands)
    return ideograms


def _ideogram(class_id: int, resolution: int) -> _Ideogram:
    try:
        return _ideograms()[resolution, class_id]
    except KeyError:
        raise ValueError(
            f"no ideogram of class {class_id} at {resolution} bands: classes are 1..24, levels {RESOLUTIONS}"
        ) from None


def bands(class_id: int, resolution: int = 550) -> tuple[Band, ...]:
    """The bands of a class from the p telomere to the q telomere. ``ValueError`` for an unknown class or level.

    >>> bands(21)[-1].name
    'q22.3'
    """
    return _ideogram(class_id, resolution).bands


def relative_length(class_id: int) -> float:
    """Length of a class over the summed length of the 22 autosomes (one haploid set).

    >>> round(relative_length(1), 3), round(relative_length(21), 3)
    (0.089, 0.019)
    """
    autosomes = sum(_ideogram(n, 550).length for n in range(1, 23))
    return _ideogram(class_id, 550).length / autosomes


def centromere_index(class_id: int, resolution: int = 550) -> float:
    """Length of the p arm over the whole length, 0..0.5.

    >>> round(centromere_index(13), 2)
    0.18
    """
    return max(band.stop for band in bands(class_id, resolution) if band.arm == "p")


@lru_cache(maxsize=8192)
def density(class_id: int, band: Band, banding: Banding = "G") -> float:
    """How strongly ``band`` takes the stain, 0..1: dark in G-banding, bright in Q-banding and DAPI.

    A coarse level gives a band the stain of its darkest part (19q13.4 is ``gpos100``, its parts at the 850 level are no
    darker than ``gpos25``). Real profiles lie between both, so the mean of the two is taken.
    """
    site = CLASS_NAMES[class_id - 1] + band.name
    for name, value in _HETEROCHROMATIN[banding].items():
        if site.startswith(name):  # the 850 level divides some of them further
            return value
    own = _DENSITY[banding][band.stain]
    parts = [part for part in bands(class_id, 850) if part.name.startswith(band.name)]
    if not parts:
        return own
    mean = sum((part.stop - part.start) * _DENSITY[banding][part.stain] for part in parts)
    return 0.5 * own + 0.5 * mean / sum(part.stop - part.start for part in parts)


def density_profile(class_id: int, length: int, resolution: int = 550, banding: Banding = "G") -> NDArray[np.float32]:
    """(length,) stain density from the p telomere to the q telomere, 0..1, each sample the mean over its interval."""
    stripes = bands(class_id, resolution)
    edges = np.array([0.0, *(band.stop for band in stripes)])
    densities = np.array([density(class_id, band, banding) for band in stripes])
    integral = np.concatenate([[0.0], np.cumsum(densities * np.diff(edges))])
    profile = np.diff(np.interp(np.linspace(0, 1, length + 1), edges, integral)) * length
    return np.asarray(profile, np.float32)
