"""A laboratory with finished results for the tests of reviews."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from db import queue
from db.engine import SessionFactory
from db.queue import AnalysisResult
from db.schema import Analysis, Case, Image, Priority
from karyotyping.model import encode_mask
from karyotyping.nomenclature.iscn import format_iscn
from storage import ObjectStore, sha256_of
from tests.db.conftest import QC, Laboratory

HEIGHT, WIDTH = 480, 640  # px of each image
SIDE = (8, 40)  # width and height of each chromosome, px
FEMALE = [class_id for class_id in range(1, 24) for _ in range(2)]
"""Classes of 46,XX by number."""


def chromosome(ordinal: int, class_id: int | None) -> dict[str, Any]:
    """A row of ``chromosomes``: an upright bar, 20 in a line."""
    x, y = 30 * (ordinal % 20) + 5, 60 * (ordinal // 20) + 10
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + SIDE[1], x : x + SIDE[0]] = True
    return {
        "ordinal": ordinal,
        "box": [x, y, *SIDE],
        "mask": encode_mask(mask)["counts"],
        "class_id": class_id,
        "class_score": 0.9,
        "score": 0.95,
        "top5_classes": [1, 2, 3, 4, 5],
        "top5_scores": [0.9, 0.05, 0.02, 0.02, 0.01],
        "length": float(SIDE[1]),
        "width": float(SIDE[0]),
        "centromere_index": 0.4,
        "orientation": "p_up",
        "embedding": None,
        "flags": [],
    }


def result(classes: Sequence[int | None], unexplained: int = 0) -> AnalysisResult:
    """A result with these classes by number, and so many objects that may be chromosomes."""
    known = [class_id for class_id in classes if class_id is not None]
    unidentified = len(classes) - len(known)
    iscn = format_iscn({k: known.count(k) for k in known}, unidentified=unidentified, unexplained=unexplained)
    rows = [chromosome(*item) for item in enumerate(classes)]
    quality = QC | {"chromosome_count": len(classes), "unexplained_objects": unexplained}
    return AnalysisResult(1.0, iscn, {"karyogram": "sha256/ab/cd"}, rows, quality)


class ReviewLaboratory:
    """Cases with finished analyses; each method commits a transaction of its own."""

    def __init__(self, sessions: SessionFactory) -> None:
        self.sessions = sessions
        self.laboratory = Laboratory(sessions)
        self.pipeline = self.laboratory.pipeline("first", alias="production")

    def case(
        self,
        accession: str = "A-1",
        *,
        cells: int = 3,
        classes: Sequence[int | None] = FEMALE,
        unexplained: int = 0,
    ) -> list[int]:
        """Add images to a case, finish their analyses and return the numbers of these."""
        images = self.laboratory.images(cells, accession)
        return self.analyse(images, self.pipeline, classes, unexplained)

    def analyse(
        self,
        images: Sequence[int],
        pipeline_id: int,
        classes: Sequence[int | None] = FEMALE,
        unexplained: int = 0,
    ) -> list[int]:
        """Finish the analyses of images by one pipeline."""
        with self.sessions.begin() as session:
            assert queue.enqueue(session, images, pipeline_id, Priority.ROUTINE) == len(images)
        self.laboratory.result = result(classes, unexplained)
        for leased in self.laboratory.leased(len(images)):
            self.laboratory.begin(leased)
            assert self.laboratory.finish(leased)
        with self.sessions() as session:
            query = select(Analysis.id).where(Analysis.image_id.in_(images), Analysis.pipeline_id == pipeline_id)
            return list(session.scalars(query.order_by(Analysis.id)))

    def images(self, accession: str = "A-1") -> list[int]:
        """Return the numbers of the images of a case."""
        with self.sessions() as session:
            query = select(Image.id).join(Case).where(Case.accession == accession)
            return list(session.scalars(query.order_by(Image.id)))


def store_objects(sessions: SessionFactory, store: ObjectStore) -> None:
    """Give every image and every finished analysis objects of its own."""
    with sessions.begin() as session:
        for image in session.scalars(select(Image)):
            image.object_key = store.put(f"image {image.id}".encode())
            image.sha256 = sha256_of(image.object_key)
        for analysis in session.scalars(select(Analysis).where(Analysis.artefacts.is_not(None))):
            names = ("karyogram", "overlay")
            analysis.artefacts = {name: store.put(f"{name} {analysis.id}".encode()) for name in names}
