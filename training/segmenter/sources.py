"""What fields are made of: the single chromosomes of cells, out of karyotype reports or drawn from ideograms."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from karyotyping.nomenclature.classes import NORMAL_COUNT
from training.simulation.appearance import Appearance, Contrast, default_banding, draw_resolution, draw_values
from training.simulation.chromosome import draw_chromosome
from training.simulation.deform import SingleChromosome, extract_chromosome
from training.simulation.karyotype_reports import read_cells, read_stain

_CONTRASTS: tuple[Contrast, ...] = ("bright_field", "fluorescence")
_ASKED = 10
"""Chromosomes of a cell whose median width is the cell's."""


@dataclass(frozen=True, slots=True)
class SourceCell:
    """N chromosomes of one cell: encoded pictures of them, or the number of the look that they are drawn with."""

    pictures: tuple[bytes, ...]
    drawn: int = 0
    contrast: Contrast = "fluorescence"

    def __len__(self) -> int:
        return len(self.pictures) or NORMAL_COUNT


class ChromosomeSource:
    """Cells by domain: one for each report, and one drawn from ideograms. Singles are cut out once and kept.

    Args:
        paths: zips of single chromosomes with an ``index.csv`` (file, cell).
        held_out: every fifth cell, or all others; drawn cells are other ones too.
        cells: of a report at most, evenly chosen; each takes about half a megabyte of memory.
        drawn: cells drawn from ideograms.
        cases: of a report, by its file name, the only ones to take cells from.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        held_out: bool = False,
        cells: int = 100,
        drawn: int = 40,
        cases: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.domains: list[list[SourceCell]] = []
        for path in paths:
            found = read_cells(path, held_out=held_out, cases=(cases or {}).get(path.name))
            chosen = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, cells).astype(int))]
            with zipfile.ZipFile(path) as archive:
                pictures = [tuple(archive.read(name) for name in cell.files) for cell in chosen]
            self.domains.append([SourceCell(some, 0, read_stain(some[0])[1]) for some in pictures])
        if drawn:
            first = 10_000 if held_out else 0
            self.domains.append([SourceCell((), first + n, _CONTRASTS[n % 2]) for n in range(drawn)])
        self._kept: dict[tuple[int, int, int], SingleChromosome | None] = {}
        self._widths: dict[tuple[int, int], float] = {}

    def chromosome(self, domain: int, cell: int, number: int) -> SingleChromosome | None:
        """One chromosome; None where a picture holds none."""
        key = (domain, cell, number)
        if key not in self._kept:
            self._kept[key] = _make(self.domains[domain][cell], number)
        return self._kept[key]

    def width(self, domain: int, cell: int) -> float:
        """Typical width of the chromosomes of a cell, in pixels of their pictures."""
        if (domain, cell) not in self._widths:
            numbers = np.linspace(0, len(self.domains[domain][cell]) - 1, _ASKED).astype(int)
            found = [self.chromosome(domain, cell, int(n)) for n in numbers]
            self._widths[domain, cell] = float(np.median([item.width for item in found if item] or [12.0]))
        return self._widths[domain, cell]


def _make(cell: SourceCell, number: int) -> SingleChromosome | None:
    if cell.pictures:
        return extract_chromosome(read_stain(cell.pictures[number])[0])
    rng = np.random.default_rng((cell.drawn, 1))
    look = draw_values(Appearance.for_contrast(cell.contrast), rng)
    if rng.random() < 0.35:  # chromatids that lie apart, as in unbanded preparations
        look |= {"gap": rng.uniform(0.8, 1.3), "splay": rng.uniform(0.2, 0.6), "light_stain": 0.8}
    resolution = draw_resolution(rng)
    patch = draw_chromosome(
        number // 2 % 24 + 1,
        np.random.default_rng((cell.drawn, 2, number)),
        cell=look,
        angle=np.pi / 2,
        course=np.zeros_like,
        resolution=resolution,
        banding=default_banding(cell.contrast),
    )
    return extract_chromosome(patch.stain, patch.mask)
