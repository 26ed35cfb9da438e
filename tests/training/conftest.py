"""A synthetic karyotype report to train on."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


def write(path: Path, cells: int) -> Path:
    """Write a report of dark bars on white, with 46 bars per cell and two cells per case."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["file", "class", "cell", "case"])
    with zipfile.ZipFile(path, "w") as archive:
        for cell in range(cells):
            for number in range(46):
                grey = np.full((20 + number, 22), 255, np.uint8)
                grey[4:-4, 5:-5] = 90
                name = f"{cell}/{number}.png"
                archive.writestr(name, cv2.imencode(".png", grey)[1].tobytes())
                writer.writerow([name, number // 2 + 1, cell, f"case{cell // 2}"])
        archive.writestr("index.csv", table.getvalue())
    return path


@pytest.fixture(scope="session")
def write_report() -> Callable[[Path, int], Path]:
    """Return a function that writes a report with a number of cells."""
    return write
