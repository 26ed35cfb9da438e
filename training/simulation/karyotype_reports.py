"""Karyotype reports as material: the single chromosomes of their cells, cut out by those who wrote the report."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.simulation.appearance import Contrast


@dataclass(frozen=True, slots=True)
class ReportCell:
    """The chromosomes of one cell in a report; ``files`` with their class."""

    report: Path
    files: tuple[str, ...]

    def patches(self) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Stain 0..1 and mask of each chromosome, whichever side of the background its stain lies on."""
        with zipfile.ZipFile(self.report) as archive:
            stains = [read_stain(archive.read(name))[0] for name in self.files]
        return [(stain, stain > 0.15) for stain in stains]


def read_cells(report: Path, *, held_out: bool, cases: Collection[str] | None = None) -> list[ReportCell]:
    """The training or the held-out cells of a report: a zip of single chromosomes with an ``index.csv`` (file, cell).

    Every fifth cell is held out, so that no chromosome is on both sides. Given ``cases``, only cells of these (column
    ``case``): the others are for evaluation.
    """
    with zipfile.ZipFile(report) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8")))
    if cases is not None:
        rows = [row for row in rows if row["case"] in cases]
    names = sorted({row["cell"] for row in rows})
    wanted: dict[str, list[str]] = {name: [] for i, name in enumerate(names) if (i % 5 == 4) == held_out}
    for row in rows:
        if row["cell"] in wanted:
            wanted[row["cell"]].append(row["file"])
    return [ReportCell(report, tuple(files)) for files in wanted.values()]


def read_stain(encoded: bytes) -> tuple[NDArray[np.float32], Contrast]:
    """Stain 0..1 of an encoded picture of a single chromosome, and how it was photographed, by its border."""
    decoded = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE))
    grey: NDArray[np.float32] = decoded.astype(np.float32) / np.float32(255)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(edge) > 0.5:
        return np.asarray(1 - grey, np.float32), "bright_field"
    return grey, "fluorescence"
