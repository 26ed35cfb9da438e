"""The human ideogram: ISCN bands of the 24 classes at the 400, 550 and 850 band levels.

``ideogram.csv`` has one chromosome a line. Its bands go from the p telomere to the q telomere, each as
``name:stop:stain`` with ``stop`` in ISCN units. Source: UCSC/NCBI ideogram, ISCN bands, public domain.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import numpy as np

from karyotyping.arrays import Floats32
from karyotyping.nomenclature.classes import CLASS_NAMES

Resolution = Literal[400, 550, 850]
Stain = Literal["gneg", "gpos25", "gpos50", "gpos75", "gpos100", "acen", "gvar", "stalk"]
Banding = Literal["G", "Q", "DAPI"]

RESOLUTIONS: tuple[Resolution, ...] = (400, 550, 850)

_STAIN_DENSITY: dict[Banding, dict[Stain, float]] = {  # 0..1
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
# Heterochromatin depends on the dye: AT-rich satellites are bright in DAPI and, on Yq, in quinacrine.
_HETEROCHROMATIN_DENSITY: dict[Banding, dict[str, float]] = {  # 0..1, by class and prefix of the band
    "G": {"1q12": 0.9, "9q12": 0.25, "16q11.2": 0.9, "Yq12": 0.65},
    "Q": {"1q12": 0.3, "9q12": 0.1, "16q11.2": 0.3, "Yq12": 1.0},
    "DAPI": {"1q12": 1.0, "9q12": 1.0, "16q11.2": 1.0, "Yq12": 1.0, "15p11.2": 1.0},
}


@dataclass(frozen=True, slots=True)
class Band:
    """One band of an ideogram."""

    name: str
    """Arm and number, e.g. ``"q22.3"``."""
    arm: Literal["p", "q"]
    start: float
    """Distance from the p telomere, share of the chromosome's length, 0..1."""
    stop: float
    """As ``start``, for the end nearer to the q telomere."""
    stain: Stain


@dataclass(frozen=True, slots=True)
class _Ideogram:
    length: int  # ISCN units
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
    """Return the bands of a class from the p telomere to the q telomere.

    Args:
        class_id: 1..24.
        resolution: band level, one of :data:`RESOLUTIONS`.

    Raises:
        ValueError: unknown class or level.

    >>> bands(21)[-1].name
    'q22.3'
    """
    return _ideogram(class_id, resolution).bands


def relative_length(class_id: int) -> float:
    """Return the length of a class over the summed length of the 22 autosomes, one of each.

    >>> round(relative_length(1), 3), round(relative_length(21), 3)
    (0.089, 0.019)
    """
    autosomes = sum(_ideogram(n, 550).length for n in range(1, 23))
    return _ideogram(class_id, 550).length / autosomes


def centromere_index(class_id: int, resolution: int = 550) -> float:
    """Return the length of the p arm over the whole length, 0..0.5.

    >>> round(centromere_index(13), 2)
    0.18
    """
    return max(band.stop for band in bands(class_id, resolution) if band.arm == "p")


@lru_cache(maxsize=8192)
def density(class_id: int, band: Band, banding: Banding = "G") -> float:
    """Return the stain density of a band, 0..1: dark in G-banding, bright in Q-banding and DAPI.

    A coarse level gives a band the stain of its darkest part: 19q13.4 is ``gpos100``, its parts at the 850 level are at
    most ``gpos25``. Measured profiles are between both, so their mean is returned.

    >>> density(1, bands(1)[0]) < density(1, bands(1)[1])
    True
    """
    site = CLASS_NAMES[class_id - 1] + band.name
    for name, value in _HETEROCHROMATIN_DENSITY[banding].items():
        if site.startswith(name):  # a prefix, as the 850 level divides some of them
            return value
    density_of_band = _STAIN_DENSITY[banding][band.stain]
    parts = [part for part in bands(class_id, 850) if part.name.startswith(band.name)]
    if not parts:
        return density_of_band
    mean = sum((part.stop - part.start) * _STAIN_DENSITY[banding][part.stain] for part in parts)
    return 0.5 * density_of_band + 0.5 * mean / sum(part.stop - part.start for part in parts)


def density_profile(class_id: int, length: int, resolution: int = 550, banding: Banding = "G") -> Floats32:
    """Return the stain density along a chromosome from the p telomere to the q telomere.

    Args:
        class_id: 1..24.
        length: number of samples; each is the mean over its interval.
        resolution: band level, one of :data:`RESOLUTIONS`.
        banding: staining method.

    Returns:
        (length,) float32, 0..1.

    >>> density_profile(1, 4).shape
    (4,)
    """
    ideogram_bands = bands(class_id, resolution)
    edges = np.array([0.0, *(band.stop for band in ideogram_bands)])
    densities = np.array([density(class_id, band, banding) for band in ideogram_bands])
    integral = np.concatenate([[0.0], np.cumsum(densities * np.diff(edges))])
    profile = np.diff(np.interp(np.linspace(0, 1, length + 1), edges, integral)) * length
    return np.asarray(profile, np.float32)
