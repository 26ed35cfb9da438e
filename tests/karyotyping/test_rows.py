"""Rows of an analysis fit their tables."""

from __future__ import annotations

import numpy as np

from db.schema import Chromosome, QcMetrics
from karyotyping.model import CellAnalysis, Quality
from karyotyping.model import Chromosome as AnalysedChromosome
from karyotyping.rows import chromosome_rows, quality_row


def test_rows_have_every_column_and_no_other() -> None:
    chromosome = AnalysedChromosome(
        ordinal=0,
        box=(1, 2, 3, 4),
        mask={"size": [9, 9], "counts": "abc"},
        score=0.9,
        class_id=None,
        class_score=0.1,
        top5=((3, 0.5), (4, 0.25)),
        length=10.0,
        width=3.0,
        centromere_index=None,
        orientation="unknown",
        straightened=np.zeros((10, 3), np.uint8),
        profile=np.zeros(64, np.float32),
        embedding=np.array([0.5, -0.5], np.float32),
        flags=frozenset({"touching", "bent"}),
    )
    quality = Quality(1, "light_on_dark", 1, 0.5, 0.1, 0.1, 2, 3, 0, 0, 0, 0, 0, 0, 0.5, 0.5, frozenset({"too_few"}))
    cell = CellAnalysis((9, 9), (chromosome,), quality, "46,XX")
    (row,) = chromosome_rows(cell)
    assert set(row) == {column.key for column in Chromosome.__table__.columns} - {"analysis_id"}
    assert set(quality_row(cell)) == {column.key for column in QcMetrics.__table__.columns} - {"analysis_id"}
    assert (row["top5_classes"], row["top5_scores"], row["flags"]) == ([3, 4], [0.5, 0.25], ["bent", "touching"])
    assert row["embedding"] is not None
    assert np.frombuffer(row["embedding"], "<f2").tolist() == [0.5, -0.5]
