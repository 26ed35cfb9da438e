"""Training data of the embedding network: straightened chromosomes on canvases."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.crop import Crop, measure_crops, segment_crop
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.embedder import COLUMNS, ROWS, CellScale, appearance, cell_scale
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.ideogram import centromere_index
from training.common.progress import Log

MARGIN = 16
"""Rows of a canvas beyond the network's input; it has half as many more columns. Augmentation shifts into them."""
CANVAS_SHAPE = (ROWS + MARGIN, COLUMNS + MARGIN // 2)
APPEARANCE_VERSION = 4
"""Version of ``appearance``; chromosomes in the cache of another version are read again."""
LEVELS = 100
"""Grey levels per unit of the network's input."""

NO_CLASS = -1
"""Class index of what is not labelled, and of what is no whole chromosome."""
ANY_CLASS = -2
"""Class index of a whole chromosome whose class is not known."""

_MIN_BODY_LEVEL = 4  # grey level above which a pixel belongs to the chromosome


@dataclass(frozen=True, slots=True)
class Chromosomes:
    """N chromosomes with their labels."""

    canvas: NDArray[np.uint8]
    """(N, *CANVAS_SHAPE) ``appearance`` in ``LEVELS``."""
    class_index: NDArray[np.int64]
    """(N,) 0..23, ``NO_CLASS`` or ``ANY_CLASS``."""
    upright: NDArray[np.bool_]
    """(N,) whether the p arm is known to be up; False where the polarity is unknown."""
    size: NDArray[np.float32]
    """(N,) ``Measurement.size``; comparable within a cell."""
    report: NDArray[np.str_]
    """(N,) name of the report, which is the domain."""
    cell: NDArray[np.str_]
    """(N,) name of the cell, unique over all reports."""
    case: NDArray[np.str_]
    """(N,) name of the case, unique over all reports."""
    name: NDArray[np.str_]
    """(N,) file name in the report."""

    def __len__(self) -> int:
        return len(self.class_index)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Chromosomes:
        return Chromosomes(*(getattr(self, item.name)[chosen] for item in fields(self)))

    @property
    def visible(self) -> NDArray[np.float32]:
        """(N, 1, ROWS, COLUMNS) inputs of the network: the middle of the canvases."""
        top, left = MARGIN // 2, MARGIN // 4
        middle: NDArray[np.float32] = self.canvas[:, None, top : top + ROWS, left : left + COLUMNS].astype(np.float32)
        return middle / np.float32(LEVELS)

    @property
    def centromere(self) -> NDArray[np.float32]:
        """(N,) row of the centromere, by the ideogram; NaN where the polarity is unknown."""
        body = self.canvas.max(axis=2) > _MIN_BODY_LEVEL
        first, last = body.argmax(axis=1), body.shape[1] - body[:, ::-1].argmax(axis=1)
        share = np.array([centromere_index(k + 1) for k in range(len(CLASS_NAMES))])[self.class_index]
        return np.where(self.upright, first + share * (last - first), np.nan).astype(np.float32)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Chromosomes:
        """Return the chromosomes of all parts."""
        return Chromosomes(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))


CanvasAndSize = tuple[NDArray[np.uint8], float]
"""Canvas (CANVAS_SHAPE) in ``LEVELS``, and ``Measurement.size``, of a chromosome."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One row of a report's index."""

    file: str
    class_index: int
    upright: bool
    cell: str
    case: str


def read_report(report: Path, cache: Path, workers: int = 2, log: Log = print) -> Chromosomes:
    """Return the chromosomes of a karyotype report.

    Args:
        report: zip of single chromosomes with an ``index.csv`` (file, class, cell, case, upright).
        cache: folder that keeps the chromosomes: straightening takes minutes.
        workers: processes to straighten with.
        log: receives lines of progress.
    """
    stored = cache_path(cache, report.stem)
    if not stored.is_file():
        log(f"straightening the chromosomes of {report.name}")
        with zipfile.ZipFile(report) as archive:
            rows = [_row(row) for row in csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8"))]
            by_cell = defaultdict(list)
            for row in rows:
                by_cell[row.cell].append(row)
            jobs = [[(row, archive.read(row.file)) for row in cell] for cell in by_cell.values()]
        with ProcessPoolExecutor(workers) as pool:
            items = [item for cell in pool.map(_read_cell, jobs, chunksize=4) for item in cell]
        save_chromosomes(stored, items, report.stem)
    return load_chromosomes(stored)


def cache_path(cache: Path, report: str) -> Path:
    """Return the cache file of the chromosomes of a report."""
    return cache / f"{report}-{APPEARANCE_VERSION}.npz"


def save_chromosomes(path: Path, items: Iterable[tuple[ReportRow, CanvasAndSize]], report: str) -> None:
    """Write chromosomes to a file; an interruption leaves no file.

    Args:
        path: file to write.
        items: row and canvas of each chromosome.
        report: name of their report.
    """
    rows, drawn = zip(*items, strict=True)
    canvases, sizes = zip(*drawn, strict=True)
    partial = path.with_suffix(".partial.npz")
    np.savez(
        partial,
        canvas=np.stack(canvases),
        class_index=np.array([row.class_index for row in rows], np.int64),
        upright=np.array([row.upright for row in rows]),
        size=np.array(sizes, np.float32),
        report=np.full(len(rows), report),
        cell=np.array([f"{report}/{row.cell}" for row in rows]),
        case=np.array([f"{report}/{row.case}" for row in rows]),
        name=np.array([row.file for row in rows]),
    )
    partial.replace(path)


def load_chromosomes(path: Path) -> Chromosomes:
    """Return the chromosomes that ``save_chromosomes`` wrote."""
    with np.load(path) as stored:
        return Chromosomes(*(stored[item.name] for item in fields(Chromosomes)))


def _row(row: dict[str, str]) -> ReportRow:
    name = {"23": "X", "24": "Y"}.get(row["class"], row["class"])
    upright = row.get("upright", "0") == "1"
    return ReportRow(row["file"], CLASS_NAMES.index(name), upright, row["cell"], row.get("case", row["cell"]))


def _read_cell(members: Sequence[tuple[ReportRow, bytes]]) -> list[tuple[ReportRow, CanvasAndSize]]:
    images = [cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE) for _, encoded in members]
    crops = [segment_crop(np.asarray(image, np.uint8)) for image in images]
    return draw_cell([row for row, _ in members], crops)


def draw_cell(rows: Sequence[ReportRow], crops: Sequence[Crop]) -> list[tuple[ReportRow, CanvasAndSize]]:
    """Segment, straighten and draw the chromosomes of one cell.

    Args:
        rows: row of each chromosome.
        crops: image of each chromosome.
    """
    return draw_canvases(rows, measure_crops(crops))


def draw_canvases(rows: Sequence[ReportRow], measured: Sequence[Measurement]) -> list[tuple[ReportRow, CanvasAndSize]]:
    """Draw the straightened chromosomes of one cell on canvases, at the scale of the cell.

    Args:
        rows: row of each chromosome.
        measured: measurement of each chromosome.
    """
    scale = cell_scale(measured)
    return [(row, draw_canvas(item, scale)) for row, item in zip(rows, measured, strict=True)]


def draw_canvas(measured: Measurement, scale: CellScale) -> CanvasAndSize:
    """Draw a straightened chromosome on a canvas, at the scale of its cell."""
    return np.round(LEVELS * appearance(measured, scale, CANVAS_SHAPE)).astype(np.uint8), measured.size
