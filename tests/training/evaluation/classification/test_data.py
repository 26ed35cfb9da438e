"""Reading of true and predicted classes."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from training.evaluation.classification.data import MISSING, NO_CLASS, read

TRUTH = """file,class,cell,case,banding,upright
a.png,1,c1,k,G,1
b.png,23,c1,k,G,-1
c.png,?,c1,k,Q,0
d.png,Y,c2,k,Q,
"""
PREDICTIONS = """file,class,score,top5,assigned_class,assigned_score,p_up,p_unknown
c.png,?,0.5,1 2 3 4 5,?,,,0.9
elsewhere.png,1,1,1,1,1,1,0
a.png,1,0.25,1 2 3 4 5,,,0.75,0.1
b.png,7,0.5,7 8 9 10 11 X,X,0.875,0.25,
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "truth.csv").write_text(TRUTH, "utf-8-sig")
    (tmp_path / "predictions.csv").write_text(PREDICTIONS, "utf-8")
    return tmp_path / "truth.csv", tmp_path / "predictions.csv"


def test_predictions_are_in_the_order_of_the_truth(files: tuple[Path, Path]) -> None:
    comparison = read(*files)
    assert comparison.true.tolist() == [0, 22, NO_CLASS, 23]
    assert comparison.isolated.label.tolist() == [0, 6, NO_CLASS, MISSING]
    np.testing.assert_array_equal(comparison.isolated.score, [0.25, 0.5, 0.5, np.nan])
    assert comparison.assigned is not None
    assert comparison.assigned.label.tolist() == [MISSING, 22, NO_CLASS, MISSING]
    np.testing.assert_array_equal(comparison.assigned.score, [np.nan, 0.875, np.nan, np.nan])
    np.testing.assert_array_equal(comparison.p_up, [0.75, 0.25, np.nan, np.nan])
    np.testing.assert_array_equal(comparison.p_no_class, [0.1, np.nan, 0.9, np.nan])
    assert comparison.in_top5.tolist() == [True, False, True, False]  # X is the sixth
    assert comparison.upright.tolist() == [1, -1, 0, 0]
    assert comparison.other_predictions == 1


def test_one_case_name_in_two_domains_is_two_cases(files: tuple[Path, Path]) -> None:
    comparison = read(*files)
    assert comparison.unit == "case"
    assert comparison.case[0] == comparison.case[1] != comparison.case[2] == comparison.case[3]
    assert comparison.cell is not None
    assert len(set(comparison.cell.tolist())) == 3
    assert comparison.domains["banding"].tolist() == ["G", "G", "Q", "Q"]


@pytest.mark.parametrize(("columns", "unit", "units"), [("cell", "cell", 1), ("stain", "chromosome", 2)])
def test_unit_without_cases_is_the_cell_or_the_chromosome(tmp_path: Path, columns: str, unit: str, units: int) -> None:
    (tmp_path / "truth.csv").write_text(f"file,class,{columns}\na,1,s\nb,2,s\n", "utf-8")
    (tmp_path / "none.csv").write_text("file,class,score,top5\n", "utf-8")
    comparison = read(tmp_path / "truth.csv", tmp_path / "none.csv")
    assert (comparison.unit, len(set(comparison.case.tolist()))) == (unit, units)


def test_truth_is_read_from_a_zip(files: tuple[Path, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "report.zip", "w") as archive:
        archive.writestr("index.csv", TRUTH)
    assert read(tmp_path / "report.zip", files[1]).true.tolist() == [0, 22, NO_CLASS, 23]
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("other.csv", TRUTH)
    with pytest.raises(ValueError, match=r"empty\.zip holds no index\.csv"):
        read(tmp_path / "empty.zip", files[1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("0.75", "1.5", r"p_up 1\.5 of 'a\.png'"), ("a.png,1", "a.png,", "'' is no chromosome class")],
)
def test_malformed_predictions_are_rejected(files: tuple[Path, Path], old: str, new: str, message: str) -> None:
    files[1].write_text(PREDICTIONS.replace(old, new), "utf-8")
    with pytest.raises(ValueError, match=message):
        read(*files)


def test_unknown_polarity_is_rejected(files: tuple[Path, Path]) -> None:
    files[0].write_text(TRUTH.replace("G,1", "G,up"), "utf-8")
    with pytest.raises(ValueError, match="upright 'up' is not"):
        read(*files)
