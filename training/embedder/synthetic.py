"""Simulated chromosomes as a report: every class drawn from its ideogram, in any stain, p arm up."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from karyotyping.chromosome.crop import Crop, segment_crop
from karyotyping.nomenclature.classes import X, Y
from karyotyping.nomenclature.ideogram import Banding
from training.embedder.data import (
    CanvasAndSize,
    Chromosomes,
    ReportRow,
    cache_path,
    draw_cell,
    load_chromosomes,
    save_chromosomes,
)
from training.simulation.appearance import Appearance, Contrast, Optics, draw_resolution, draw_values
from training.simulation.chromosome import draw_chromosome
from training.simulation.microscope import capture

SIMULATED = "simulated"
_STAINS: tuple[tuple[Contrast, Banding], ...] = (
    ("bright_field", "G"),
    ("fluorescence", "DAPI"),
    ("fluorescence", "Q"),
)
_TILT = 0.35
"""Standard deviation of the angle between a chromosome and the vertical, radians."""
_FRAME = 8


def read_simulated(
    cells: int, seed: int, cache: Path, workers: int = 2, say: Callable[[str], None] = print
) -> Chromosomes:
    """The chromosomes of ``cells`` simulated cells; kept in ``cache``."""
    stored = cache_path(cache, f"{SIMULATED}-{cells}-{seed}")
    if not stored.is_file():
        say(f"drawing the chromosomes of {cells} cells")
        with ProcessPoolExecutor(workers) as pool:
            found = [item for cell in pool.map(partial(_cell, seed), range(cells), chunksize=2) for item in cell]
        save_chromosomes(stored, found, SIMULATED)
    return load_chromosomes(stored)


def _cell(seed: int, number: int) -> list[tuple[ReportRow, CanvasAndSize]]:
    rng = np.random.default_rng((seed, number))
    contrast, banding = _STAINS[number % len(_STAINS)]
    resolution = draw_resolution(rng)
    look = draw_values(Appearance.for_contrast(contrast), rng)
    look["width"] *= rng.uniform(0.7, 1.3)  # condensation: the network sees length and width on their own scales
    optics = draw_values(Optics.for_contrast(contrast), rng)
    sexes = (X, X) if rng.random() < 0.5 else (X, Y)
    rows, crops = [], list[Crop]()
    for ordinal, class_id in enumerate((*(n for n in range(1, 23) for _ in range(2)), *sexes)):
        patch = draw_chromosome(
            class_id,
            rng,
            cell=look,
            angle=float(np.pi / 2 + _TILT * rng.standard_normal()),
            resolution=resolution,
            banding=banding,
        )
        upright = bool(patch.axis[-1, 1] > patch.axis[0, 1])
        crops.append(segment_crop(capture(np.pad(patch.stain, _FRAME), optics, contrast, rng)))
        rows.append(ReportRow(f"{number}/{class_id}_{ordinal}", class_id - 1, upright, str(number), str(number)))
    return draw_cell(rows, crops)
