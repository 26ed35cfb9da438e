"""Cases of single chromosomes of reports: their cells, their truth, and what is called."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.aneuploidy import Cell, is_normal
from benchmarks.accuracy.cases import karyotype
from benchmarks.accuracy.report_cases import assemble, changes, summarise
from karyotyping.nomenclature.classes import X, Y
from karyotyping.nomenclature.iscn import parse_iscn
from tests.support.benchmark import run_benchmark

CERTAIN = np.where(np.eye(24, dtype=bool), -1e-6, -14.0)
FEMALE = np.repeat(np.arange(23), 2)
MALE = np.append(np.repeat(np.arange(22), 2), [X - 1, Y - 1])


def cell(true: np.ndarray, name: str = "") -> Cell:
    return Cell(CERTAIN[true], np.full(len(true), 0.999), true, name, "report")


def test_a_cell_has_no_doubts_of_outlines_and_those_of_its_classes() -> None:
    certain = summarise(cell(FEMALE), 7)
    assert (certain.analysis_id, certain.class_counts, certain.outline_edits) == (7, parse_iscn("46,XX"), 0.0)
    assert set(certain.outline_doubts.values()) == {0.0}
    doubtful = CERTAIN[FEMALE].copy()
    doubtful[0] = np.log(np.full(24, 1 / 24))
    unsure = summarise(Cell(doubtful, np.full(46, 0.999), FEMALE, "", "report"), 7)
    assert certain.class_edits is not None
    assert unsure.class_edits is not None
    assert unsure.class_edits > certain.class_edits


@pytest.mark.parametrize(
    ("change", "share", "text", "abnormal"),
    [
        ((21, 1), 1.0, "47,XX,+21", 5),
        ((7, -1), 0.5, "45,XX,-7", 3),
        ((X, -1), 0.3, "45,X", 2),
        (None, 0.0, "46,XX", 5),
    ],
)
def test_a_share_of_the_cells_is_abnormal(
    change: tuple[int, int] | None, share: float, text: str, abnormal: int
) -> None:
    cells = [cell(FEMALE, str(n)) for n in range(8)]
    case = assemble(cells, 5, change, share, np.random.default_rng(0))
    assert case.truth.count(karyotype(parse_iscn(text))) == abnormal
    assert [karyotype(dict(one.class_counts)) for one in case.cells] == case.truth
    assert all(is_normal(one.copies) for one in cells)


def test_every_class_changes_and_every_cell_keeps_an_x() -> None:
    planned = list(changes())
    assert {(k, n) for _, k, n in planned} == {(k, n) for k in range(1, 25) for n in (1, -1)}
    assert ("XX", X, -1) in planned
    assert ("XY", Y, -1) in planned
    assert {sex for sex, k, _ in planned if k < X} == {"XX", "XY"}


def test_certain_classes_are_called_right(tmp_path: Path) -> None:
    cells = [FEMALE, MALE] * 6
    sizes = [len(one) for one in cells]
    true = np.concatenate(cells)
    names = np.repeat([f"cell{k}" for k in range(len(cells))], sizes)
    arrays = {"log_probabilities": CERTAIN[true], "class_index": true, "cell": names, "case": names}
    np.savez(tmp_path / "fold.npz", **arrays, report=np.full(len(true), "pki3_gband"))
    printed = run_benchmark("accuracy.report_cases", tmp_path / "fold.npz", "--cells", "5", "--normal", "4")
    assert "6 cells XX of 6 cases, 6 cells XY of 6 cases" in printed
    assert "| normal, 5 cells | 4 | 0 | 4 | 0 | 0 | 4 | 4 | 100.0 %" in printed
    assert "| abnormal in 100 % of the cells, all | 48 | 48 | 0 | 0 | 0 | 48 | 48 | 100.0 %" in printed
    half = re.search(r"\| abnormal in 50 % of the cells, all \| 48 \| (\d+) \| (\d+) \|", printed)
    assert half is not None
    assert int(half[1]) >= 44
    assert int(half[2]) == 0
