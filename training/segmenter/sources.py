"""Single chromosomes to compose samples of, from reports or drawn from ideograms."""

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
_WIDTH_SAMPLES = 10  # chromosomes whose median width is that of their cell


@dataclass(frozen=True, slots=True)
class SourceCell:
    """N chromosomes of one cell, from a report or drawn from ideograms."""

    images: tuple[bytes, ...]
    """Encoded images of the chromosomes; empty if they are drawn."""
    drawn: int = 0
    """Seed of the appearance of a drawn cell."""
    contrast: Contrast = "fluorescence"
    """Contrast of the images."""

    def __len__(self) -> int:
        return len(self.images) or NORMAL_COUNT


class ChromosomeSource:
    """Cells by domain: one domain for each report, and one of cells drawn from ideograms.

    Chromosomes are extracted once and kept in memory.

    Args:
        paths: zips of single chromosomes with an ``index.csv`` (file, cell).
        held_out: take every fifth cell instead of the others; drawn cells differ, too.
        cells: cells of each report, at most, evenly chosen; each takes about half a megabyte of memory.
        drawn: number of cells drawn from ideograms.
        cases: cases to take cells from, by file name of the report.
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
            available = read_cells(path, held_out=held_out, cases=(cases or {}).get(path.name))
            chosen = [available[i] for i in np.unique(np.linspace(0, len(available) - 1, cells).astype(int))]
            with zipfile.ZipFile(path) as archive:
                images = [tuple(archive.read(name) for name in cell.files) for cell in chosen]
            self.domains.append([SourceCell(some, 0, read_stain(some[0])[1]) for some in images])
        if drawn:
            first = 10_000 if held_out else 0
            self.domains.append([SourceCell((), first + n, _CONTRASTS[n % 2]) for n in range(drawn)])
        self._extracted: dict[tuple[int, int, int], SingleChromosome | None] = {}
        self._widths: dict[tuple[int, int], float] = {}

    def chromosome(self, domain: int, cell: int, number: int) -> SingleChromosome | None:
        """Return a chromosome, or None where an image has none.

        Args:
            domain: index into ``domains``.
            cell: index of the cell.
            number: index of the chromosome in the cell.
        """
        key = (domain, cell, number)
        if key not in self._extracted:
            self._extracted[key] = _extract(self.domains[domain][cell], number)
        return self._extracted[key]

    def width(self, domain: int, cell: int) -> float:
        """Return the median width of the chromosomes of a cell, in pixels of their images."""
        if (domain, cell) not in self._widths:
            numbers = np.linspace(0, len(self.domains[domain][cell]) - 1, _WIDTH_SAMPLES).astype(int)
            sampled = [self.chromosome(domain, cell, int(n)) for n in numbers]
            self._widths[domain, cell] = float(np.median([item.width for item in sampled if item] or [12.0]))
        return self._widths[domain, cell]


def _extract(cell: SourceCell, number: int) -> SingleChromosome | None:
    if cell.images:
        return extract_chromosome(read_stain(cell.images[number])[0])
    rng = np.random.default_rng((cell.drawn, 1))
    appearance = draw_values(Appearance.for_contrast(cell.contrast), rng)
    if rng.random() < 0.35:  # separate chromatids, as in unbanded preparations
        appearance |= {"gap": rng.uniform(0.8, 1.3), "splay": rng.uniform(0.2, 0.6), "light_stain": 0.8}
    resolution = draw_resolution(rng)
    patch = draw_chromosome(
        number // 2 % 24 + 1,
        np.random.default_rng((cell.drawn, 2, number)),
        cell=appearance,
        angle=np.pi / 2,
        course=np.zeros_like,
        resolution=resolution,
        banding=default_banding(cell.contrast),
    )
    return extract_chromosome(patch.stain, patch.mask)
