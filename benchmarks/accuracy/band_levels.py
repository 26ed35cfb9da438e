"""Band level of simulated cells of known levels, and of metaphase images.

    python -m benchmarks.accuracy.band_levels [--cells 36] [--first 0] [--set NAME] [--every N] [--data DIR]

Simulated cells are G-banded and drawn from the ideogram of their level. Their chromosomes are the longer, the higher
the level is (chromosome 1 has about 100 px at 400), under the usual optics. Every fourth round of three has an
additional blur of 1 px, which hides bands. ``--set`` measures every n-th image of ``DIR/NAME/images`` instead, whose
levels are not known.

Output: a Markdown table. The error is the mean absolute one. Inside is the share of true levels in the interval of
90 %.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.figures import data_folder, log_progress, print_header, print_row
from karyotyping.arrays import Pixels
from karyotyping.image.decode import decode
from karyotyping.model import AnalysisError, Quality
from karyotyping.nomenclature.ideogram import RESOLUTIONS, Resolution
from karyotyping.pipeline import Pipeline
from training.simulation.appearance import Appearance, Optics
from training.simulation.metaphase import simulate

FIRST_LENGTH = 100  # px, of chromosome 1 at the 400 level
EXTRA_BLUR = 1.0  # px, standard deviation


def simulated(number: int) -> tuple[Resolution, float, Pixels]:
    """Return the level, the additional blur in pixels and the pixels of a cell."""
    rng = np.random.default_rng((99, number))
    level, extra = RESOLUTIONS[number % len(RESOLUTIONS)], EXTRA_BLUR * (number // len(RESOLUTIONS) % 4 == 3)
    scale = level / 400
    length = FIRST_LENGTH * scale * float(rng.uniform(0.92, 1.08))
    band_blur, blur = float(rng.uniform(0.008, 0.016)) / scale, float(rng.uniform(0.8, 1.3)) + extra
    image = simulate(
        ("46,XX", "46,XY")[number % 2],
        seed=(6, number),
        touching=int(rng.integers(0, 8)),
        overlapping=int(rng.integers(0, 4)),
        nuclei=1,
        debris=4,
        shape=(int(700 * scale**0.7), int(900 * scale**0.7)),
        resolution=level,
        appearance=replace(Appearance(), first_length=(length, length), band_blur=(band_blur, band_blur)),
        optics=replace(Optics(), blur=(blur, blur)),
    )
    return level, extra, image.pixels


def measure(pipeline: Pipeline, pixels: Pixels) -> Quality | None:
    """Return the quality of a cell; None if no chromosome was found."""
    result = pipeline.analyse_batch([pixels])[0]
    return None if isinstance(result, AnalysisError) else result.quality


def metaphases(folder: Path, every: int) -> Iterator[Pixels]:
    """Yield every n-th image of a set."""
    for file in sorted((folder / "images").iterdir())[::every]:
        log_progress(file.name)
        yield decode(file.read_bytes()).pixels


def compare_simulated(pipeline: Pipeline, numbers: range) -> None:
    """Print the table of simulated cells."""
    rows: dict[tuple[float, Resolution], list[Quality]] = {}
    for number in numbers:
        level, extra, pixels = simulated(number)
        log_progress(f"cell {number}")
        if quality := measure(pipeline, pixels):
            rows.setdefault((extra, level), []).append(quality)
    print_header("level", "additional blur", "cells", "known", "mean", "error", "inside")
    for (extra, level), qualities in sorted(rows.items()):
        known = [(one.band_level, one.band_level_low, one.band_level_high) for one in qualities if one.band_level]
        found = np.array(known, float).reshape(-1, 3)
        inside = np.mean((found[:, 1] <= level) & (level <= found[:, 2]))
        error = np.abs(found[:, 0] - level).mean()
        figures = f"{found[:, 0].mean():.0f}", f"{error:.0f}", f"{inside:.0%}"
        print_row(level, f"{extra:.0f} px", len(qualities), len(found), *figures)


def list_levels(pipeline: Pipeline, folder: Path, every: int) -> None:
    """Print the distribution of a set."""
    qualities = [one for pixels in metaphases(folder, every) if (one := measure(pipeline, pixels))]
    levels = [one.band_level for one in qualities if one.band_level]
    print_header("set", "cells", "known", "5 %", "median", "95 %")
    quantiles = np.quantile(levels, (0.05, 0.5, 0.95)) if levels else ()
    print_row(folder.name, len(qualities), len(levels), *(f"{one:.0f}" for one in quantiles))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=36)
    parser.add_argument("--first", type=int, default=0, help="number of the first cell; those below 36 set the scale")
    parser.add_argument("--set")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image")
    parser.add_argument("--data", type=Path, default=data_folder())
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    pipeline = Pipeline.default("cpu").open()
    if arguments.set:
        list_levels(pipeline, arguments.data / arguments.set, arguments.every)
    else:
        compare_simulated(pipeline, range(arguments.first, arguments.first + arguments.cells))


if __name__ == "__main__":
    main()
