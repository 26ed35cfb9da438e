"""Karyotype reports: single chromosomes of cells, cut out by the authors of the report."""

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
    """Chromosomes of one cell in a report."""

    report: Path
    """Zip of the report."""
    files: tuple[str, ...]
    """File names of the chromosomes in the zip."""

    def patches(self) -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Return stain (h, w), 0..1, and mask (h, w) of each chromosome, whatever the contrast."""
        with zipfile.ZipFile(self.report) as archive:
            stains = [read_stain(archive.read(name))[0] for name in self.files]
        return [(stain, stain > 0.15) for stain in stains]


def read_cells(report: Path, *, held_out: bool, cases: Collection[str] | None = None) -> list[ReportCell]:
    """Return the training cells or the held-out cells of a report.

    Every fifth cell is held out.

    Args:
        report: zip of single chromosomes with an ``index.csv`` (file, cell, case).
        held_out: return the held-out cells instead of the training cells.
        cases: cases to take cells from; None for all.
    """
    with zipfile.ZipFile(report) as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8")))
    if cases is not None:
        rows = [row for row in rows if row["case"] in cases]
    names = sorted({row["cell"] for row in rows})
    files_of: dict[str, list[str]] = {name: [] for i, name in enumerate(names) if (i % 5 == 4) == held_out}
    for row in rows:
        if row["cell"] in files_of:
            files_of[row["cell"]].append(row["file"])
    return [ReportCell(report, tuple(files)) for files in files_of.values()]


def read_stain(encoded: bytes) -> tuple[NDArray[np.float32], Contrast]:
    """Return stain (h, w), 0..1, and contrast of an encoded image of one chromosome."""
    decoded = np.asarray(cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE))
    grey: NDArray[np.float32] = decoded.astype(np.float32) / np.float32(255)
    edge = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    if np.median(edge) > 0.5:
        return np.asarray(1 - grey, np.float32), "bright_field"
    return grey, "fluorescence"
