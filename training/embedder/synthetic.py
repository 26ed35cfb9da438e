"""Simulated chromosomes as training data: all classes in three stains, p arm up."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from karyotyping.chromosome.crop import Crop, segment_crop
from karyotyping.nomenclature.classes import X, Y
from karyotyping.nomenclature.ideogram import Banding
from training.common.progress import Log
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
"""Name of the simulated chromosomes among the reports."""
_STAINS: tuple[tuple[Contrast, Banding], ...] = (
    ("bright_field", "G"),
    ("fluorescence", "DAPI"),
    ("fluorescence", "Q"),
)
_TILT = 0.35  # rad, standard deviation of the angle between a chromosome and the vertical
_MARGIN = 8  # px of background around a chromosome


def read_simulated(cells: int, seed: int, cache: Path, workers: int = 2, log: Log = print) -> Chromosomes:
    """Return the chromosomes of simulated cells.

    Args:
        cells: number of cells.
        seed: seed of the cells.
        cache: folder that keeps the chromosomes.
        workers: processes to simulate with.
        log: receives lines of progress.
    """
    stored = cache_path(cache, f"{SIMULATED}-{cells}-{seed}")
    if not stored.is_file():
        log(f"drawing the chromosomes of {cells} cells")
        with ProcessPoolExecutor(workers) as pool:
            drawn = pool.map(partial(_simulate_cell, seed), range(cells), chunksize=2)
            items = [item for cell in drawn for item in cell]
        save_chromosomes(stored, items, SIMULATED)
    return load_chromosomes(stored)


def _simulate_cell(seed: int, number: int) -> list[tuple[ReportRow, CanvasAndSize]]:
    rng = np.random.default_rng((seed, number))
    contrast, banding = _STAINS[number % len(_STAINS)]
    resolution = draw_resolution(rng)
    cell_appearance = draw_values(Appearance.for_contrast(contrast), rng)
    # Condensation: canvases scale length and width independently.
    cell_appearance["width"] *= rng.uniform(0.7, 1.3)
    optics = draw_values(Optics.for_contrast(contrast), rng)
    sexes = (X, X) if rng.random() < 0.5 else (X, Y)
    rows, crops = [], list[Crop]()
    for ordinal, class_id in enumerate((*(n for n in range(1, 23) for _ in range(2)), *sexes)):
        patch = draw_chromosome(
            class_id,
            rng,
            cell=cell_appearance,
            angle=float(np.pi / 2 + _TILT * rng.standard_normal()),
            resolution=resolution,
            banding=banding,
        )
        upright = bool(patch.axis[-1, 1] > patch.axis[0, 1])
        crops.append(segment_crop(capture(np.pad(patch.stain, _MARGIN), optics, contrast, rng)))
        rows.append(ReportRow(f"{number}/{class_id}_{ordinal}", class_id - 1, upright, str(number), str(number)))
    return draw_cell(rows, crops)
