"""Karyotype reports as the embedding network sees them: every chromosome of a cell, straightened, on its canvas."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from karyotyping.chromosome.crop import Crop, measure_crops, segment_crop
from karyotyping.chromosome.measure import Measurement
from karyotyping.classification.embedder import COLUMNS, ROWS, appearance, cell_scale
from karyotyping.nomenclature.classes import CLASS_NAMES
from karyotyping.nomenclature.ideogram import centromere_index

MARGIN = 16
CANVAS_SHAPE = (ROWS + MARGIN, COLUMNS + MARGIN // 2)
"""More than the network sees, so that augmentation has something to move."""
APPEARANCE_VERSION = 4
"""Version of what the network sees: chromosomes that were read before it changed are read anew."""
LEVELS = 100
"""Grey levels per unit of what the network sees."""

_BODY = 4
"""Level above which a chromosome is."""


@dataclass(frozen=True, slots=True)
class Chromosomes:
    """N labelled chromosomes."""

    canvas: NDArray[np.uint8]
    """(N, *CANVAS) ``appearance`` in ``LEVELS``."""
    class_index: NDArray[np.int64]
    """(N,) 0..23."""
    upright: NDArray[np.bool_]
    """(N,) whether the p arm is known to be up; where it is not, nothing is known of the polarity."""
    size: NDArray[np.float32]
    """(N,) as ``Measured`` gives it; comparable within a cell."""
    report: NDArray[np.str_]
    """(N,) name of the report, which is the domain."""
    cell: NDArray[np.str_]
    case: NDArray[np.str_]
    name: NDArray[np.str_]
    """(N,) the file in the report."""

    def __len__(self) -> int:
        return len(self.class_index)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Chromosomes:
        return Chromosomes(*(getattr(self, item.name)[chosen] for item in fields(self)))

    @property
    def visible(self) -> NDArray[np.float32]:
        """The part of the canvases that the network sees, (N, 1, ROWS, COLUMNS)."""
        top, left = MARGIN // 2, MARGIN // 4
        seen: NDArray[np.float32] = self.canvas[:, None, top : top + ROWS, left : left + COLUMNS].astype(np.float32)
        return seen / np.float32(LEVELS)

    @property
    def centromere(self) -> NDArray[np.float32]:
        """(N,) row of the canvas where the ideogram puts it; NaN where it is not known which end is up."""
        body = self.canvas.max(axis=2) > _BODY
        first, last = body.argmax(axis=1), body.shape[1] - body[:, ::-1].argmax(axis=1)
        share = np.array([centromere_index(k + 1) for k in range(len(CLASS_NAMES))])[self.class_index]
        return np.where(self.upright, first + share * (last - first), np.nan).astype(np.float32)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Chromosomes:
        """All of several sets."""
        return Chromosomes(*(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(cls)))


CanvasAndSize = tuple[NDArray[np.uint8], float]
"""The canvas and the size of a chromosome."""


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One line of a report's index."""

    file: str
    class_index: int
    upright: bool
    cell: str
    case: str


def read_report(report: Path, cache: Path, workers: int = 2, say: Callable[[str], None] = print) -> Chromosomes:
    """Every chromosome of a report: a zip with an ``index.csv`` (file, class, cell, case, upright).

    What was read is kept in ``cache``, as straightening takes minutes.
    """
    stored = cache_path(cache, report.stem)
    if not stored.is_file():
        say(f"straightening the chromosomes of {report.name}")
        with zipfile.ZipFile(report) as archive:
            rows = [_row(row) for row in csv.DictReader(io.TextIOWrapper(archive.open("index.csv"), "utf-8"))]
            by_cell = defaultdict(list)
            for row in rows:
                by_cell[row.cell].append(row)
            jobs = [[(row, archive.read(row.file)) for row in cell] for cell in by_cell.values()]
        with ProcessPoolExecutor(workers) as pool:
            found = [item for cell in pool.map(_cell, jobs, chunksize=4) for item in cell]
        save_chromosomes(stored, found, report.stem)
    return load_chromosomes(stored)


def cache_path(cache: Path, report: str) -> Path:
    """Where the chromosomes of a report are kept once they were read."""
    return cache / f"{report}-{APPEARANCE_VERSION}.npz"


def save_chromosomes(path: Path, found: Iterable[tuple[ReportRow, CanvasAndSize]], report: str) -> None:
    """Keep chromosomes in a file; whole, or not at all."""
    rows, seen = zip(*found, strict=True)
    canvases, sizes = zip(*seen, strict=True)
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
    """What ``save`` kept."""
    with np.load(path) as stored:
        return Chromosomes(*(stored[item.name] for item in fields(Chromosomes)))


def _row(row: dict[str, str]) -> ReportRow:
    name = {"23": "X", "24": "Y"}.get(row["class"], row["class"])
    upright = row.get("upright", "0") == "1"
    return ReportRow(row["file"], CLASS_NAMES.index(name), upright, row["cell"], row.get("case", row["cell"]))


def _cell(members: Sequence[tuple[ReportRow, bytes]]) -> list[tuple[ReportRow, CanvasAndSize]]:
    pictures = [cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE) for _, encoded in members]
    crops = [segment_crop(np.asarray(picture, np.uint8)) for picture in pictures]
    return draw_cell([row for row, _ in members], crops)


def draw_cell(rows: Sequence[ReportRow], crops: Sequence[Crop]) -> list[tuple[ReportRow, CanvasAndSize]]:
    """The chromosomes of one cell on their canvases."""
    return draw_canvases(rows, measure_crops(crops))


def draw_canvases(rows: Sequence[ReportRow], measured: Sequence[Measurement]) -> list[tuple[ReportRow, CanvasAndSize]]:
    """The same, of chromosomes that have been straightened."""
    scale = cell_scale(measured)
    return [
        (row, (np.round(LEVELS * appearance(item, scale, CANVAS_SHAPE)).astype(np.uint8), item.size))
        for row, item in zip(rows, measured, strict=True)
    ]
