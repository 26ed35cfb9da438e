"""Worker without science, for benchmarks of everything else: every image has 46 chromosomes.

It stores as much as for a real image: rows of 46 chromosomes with their embeddings, quality metrics and three small
objects. ``seconds`` of the pipeline's document is the duration of one analysis.
"""

from __future__ import annotations

import io
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from karyotyping.image.decode import decode
from karyotyping.model import CellAnalysis, Chromosome, Quality, encode_mask
from karyotyping.nomenclature.classes import NORMAL_COUNT
from karyotyping.rows import chromosome_rows, quality_row
from settings import Settings
from storage import ObjectStore
from worker.chunk import writer
from worker.main import main

SIDE = 64  # px


def _chromosome(ordinal: int) -> Chromosome:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[ordinal : ordinal + 16, 4:8] = True
    return Chromosome(
        ordinal=ordinal,
        box=(4, ordinal, 4, 16),
        mask=encode_mask(mask),
        score=0.9,
        class_id=ordinal // 2 + 1,
        class_score=0.8,
        top5=((1, 0.8), (2, 0.1), (3, 0.05), (4, 0.03), (5, 0.02)),
        length=16.0,
        width=4.0,
        centromere_index=0.4,
        orientation="p_up",
        straightened=np.full((16, 4), 100, np.uint8),
        profile=np.zeros(64, np.float32),
        embedding=np.ones(128, np.float32),
    )


CELL = CellAnalysis(
    (SIDE, SIDE),
    tuple(_chromosome(ordinal) for ordinal in range(NORMAL_COUNT)),
    Quality(NORMAL_COUNT, "dark_on_light", 1, 0.5, 0.01, 0.01, 2, 4, 0, 0, 0, 0, 0, 0, 0.8, 0.7),
    "46,XX",
)


class NullPipeline:
    """Pipeline that returns the same cell after ``seconds`` per image."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._seconds = seconds

    def analyse_batch(self, images: Sequence[NDArray[Any]]) -> list[CellAnalysis]:
        """Return the same cell for every image."""
        time.sleep(self._seconds * len(images))
        return [CELL] * len(images)


def encode_image() -> bytes:
    """Return a PNG to analyse."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (SIDE, SIDE), np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def analyse_one(store: ObjectStore, pipeline: NullPipeline, key: str, title: str) -> dict[str, Any]:
    """Analyse one image without karyoflow's queue, from its bytes to a row and three objects."""
    (cell,) = pipeline.analyse_batch([decode(store.get(key)).pixels])
    artefacts = {name: store.put(f"{name} {title}".encode()) for name in ("karyogram", "karyogram_svg", "overlay")}
    found = len(chromosome_rows(cell))
    return {"iscn": cell.iscn, "artefacts": artefacts, "chromosomes": found, **quality_row(cell)}


def load(document: Mapping[str, Any], engine: str) -> NullPipeline:
    """Return the pipeline of a document; the engine does not matter."""
    return NullPipeline(document.get("seconds", 0.0))


def _replace_drawing() -> None:
    """Replace the drawing, which belongs to the science, by short texts."""
    writer.draw_karyogram = lambda cell, title: f"karyogram {title}"  # type: ignore[assignment]
    writer.karyogram_svg = lambda cell, title: f"karyogram_svg {title}"
    writer.draw_overlay = lambda pixels, cell: f"overlay {time.time_ns()}"  # type: ignore[assignment]
    writer.encode_png = lambda text: text.encode()  # type: ignore[assignment]


if __name__ == "__main__":
    _replace_drawing()
    main(Settings(), load=load)
