"""Evaluation of classes, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluation.classes import evaluate_classes

TRUTH = "file,class,cell\na.png,1,c\nb.png,23,c\nc.png,Y,c\nd.png,1,c\n"
PREDICTIONS = """file,class,score,top5,assigned_class
a.png,1,0.95,1 2 3 4 5,1
b.png,7,0.55,7 X 8 9 10,X
c.png,21,0.95,21 22 20 19 18,
e.png,21,0.95,21 22 20 19 18,21
"""


def write(folder: Path, truth: str = TRUTH, predictions: str = PREDICTIONS) -> tuple[Path, Path]:
    (folder / "truth.csv").write_text(truth, "utf-8")
    (folder / "predictions.csv").write_text(predictions, "utf-8")
    return folder / "truth.csv", folder / "predictions.csv"


def test_four_chromosomes_by_hand(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path))
    assert (report["chromosomes"], report["missing"], report["unknown"]) == (4, 1, 1)
    assert report["accuracy_top1"] == 1 / 4
    assert report["accuracy_top5"] == 2 / 4
    assert report["accuracy_assigned"] == 2 / 4
    assert report["calibration_error"] == pytest.approx((0.55 + abs(1 - 1.9)) / 3)
    assert report["confusion"] == {"1": {"1": 1}, "X": {"7": 1}, "Y": {"21": 1}}
    assert report["per_class"]["1"] == {"count": 2, "recall": 0.5, "precision": 1.0, "mistaken_for": []}
    assert report["per_class"]["X"]["mistaken_for"] == ["7"]


def test_without_assignment_and_without_any_prediction(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path, predictions="file,class,score,top5\n"))
    assert (report["missing"], report["accuracy_top1"], report["calibration_error"]) == (4, 0, None)
    assert "accuracy_assigned" not in report


@pytest.mark.parametrize(
    ("truth", "predictions", "message"),
    [
        ("file,label\na.png,1\n", PREDICTIONS, r"truth\.csv lacks the columns class"),
        ("file,class\n", PREDICTIONS, "no rows"),
        ("file,class\na.png,1\na.png,2\n", PREDICTIONS, r"names 'a\.png' 2 times"),
        ("file,class\na.png,25\n", PREDICTIONS, "'25' is no chromosome class"),
        (TRUTH, "file,class,score,top5\na.png,1,95,1\n", r"score 95\.0 of 'a\.png'"),
    ],
    ids=["column", "empty", "twice", "class", "score"],
)
def test_malformed_files_are_refused(tmp_path: Path, truth: str, predictions: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_classes(*write(tmp_path, truth, predictions))
