"""Report on classes, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.evaluation.classification.report import evaluate_classes

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


def test_figures_of_four_chromosomes_equal_those_by_hand(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path))
    assert (report["chromosomes"], report["missing"], report["unknown"]) == (4, 1, 1)
    assert report["accuracy_top1"] == 1 / 4
    assert report["accuracy_top5"] == 2 / 4
    assert report["accuracy_assigned"] == 2 / 4
    assert report["calibration_error"] == pytest.approx((0.55 + abs(1 - 1.9)) / 3)
    assert report["confusion"] == {"1": {"1": 1}, "X": {"7": 1}, "Y": {"21": 1}}
    assert report["per_class"]["1"] == {"count": 2, "recall": 0.5, "precision": 1.0, "mistaken_for": []}
    assert report["per_class"]["X"]["mistaken_for"] == ["7"]


def test_missing_predictions_count_as_wrong(tmp_path: Path) -> None:
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
def test_malformed_files_are_rejected(tmp_path: Path, truth: str, predictions: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate_classes(*write(tmp_path, truth, predictions))


RICH_TRUTH = """file,class,cell,case,banding,upright
a,1,s,k1,G,1
b,2,s,k1,G,1
c,1,t,k2,G,1
d,?,t,k2,G,0
e,3,u,k3,Q,0
f,3,u,k3,Q,0
"""
RICH = """file,class,score,top5,assigned_class,assigned_score,p_up
a,1,0.99,1 2 3 4 5,1,1,0.9
b,2,0.98,2 1 3 4 5,2,1,0.2
c,1,0.97,1 2 3 4 5,1,1,0.8
d,?,0.96,1 2 3 4 5,1,1,0.5
e,?,0.95,3 2 1 4 5,3,1,0.5
f,4,0.94,4 3 2 1 5,3,1,0.5
"""


def test_cells_domains_and_no_class_have_figures(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path, RICH_TRUTH, RICH), resamples=50)
    assert (report["chromosomes"], report["cells"], report["cases"]) == (6, 3, 3)
    assert report["accuracy_top1"] == pytest.approx(4 / 6)
    assert report["accuracy_top5"] == 1
    assert report["accuracy_balanced"] == pytest.approx((1 + 1 + 0 + 1) / 4)
    assert report["cells_right"] == pytest.approx(2 / 3)
    assert report["cells_right_assigned"] == pytest.approx(2 / 3)
    assert report["accuracy_polarity"] == pytest.approx(2 / 3)
    assert report["polarity"]["wrong_per_class"] == {"2": 1}
    isolated = report["no_class"]["isolated"]
    assert (isolated["true"], isolated["said"], isolated["recall"], isolated["precision"]) == (1, 2, 1, 0.5)
    assert isolated["known_refused"] == 0.2
    assert isolated["auroc"] == 1
    assert report["no_class"]["assigned"]["recall"] == 0
    assert report["assigned"]["confusion"]["?"] == {"1": 1}
    assert set(report["by"]) == {"banding"}
    assert report["by"]["banding"]["Q"]["accuracy_top1"] == 0
    assert report["by"]["banding"]["Q"]["accuracy_assigned"] == 1
    assert report["by"]["banding"]["G"]["confusion"] == {"1": {"1": 2}, "2": {"2": 1}, "?": {"?": 1}}
    assert "polarity" not in report["by"]["banding"]["Q"]


def test_a_cell_is_as_sure_as_the_product_of_its_chromosomes(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path, RICH_TRUTH, RICH), resamples=0)
    cells = report["by_cell"]  # only the first cell has a class for every chromosome
    assert (cells["cells"], cells["right"]) == (3, 2)
    assert cells["reliability"] == [
        {"from": pytest.approx(14 / 15), "to": 1, "count": 1, "score": pytest.approx(0.99 * 0.98), "accuracy": 1}
    ]
    assert cells["brier"] == pytest.approx((1 - 0.99 * 0.98) ** 2)
    best = cells["operating_points"][0]
    assert (best["accepted"], best["errors"], best["coverage"]) == (1, 0, pytest.approx(1 / 3))
    assigned = report["assigned"]["by_cell"]
    assert (assigned["right"], assigned["risk_coverage"][-1]["error"]) == (2, pytest.approx(1 / 3))


def test_no_class_is_never_an_accepted_error(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path, RICH_TRUTH, RICH), resamples=0)
    best = report["operating_points"][0]
    assert (best["accepted"], best["errors"], best["coverage"]) == (3, 0, 0.5)
    assert report["risk_coverage"][-1] == {"coverage": pytest.approx(4 / 6), "score": 0.94, "error": 0.25}
    assert "interval95" not in report


def test_intervals_resample_cases(tmp_path: Path) -> None:
    report = evaluate_classes(*write(tmp_path, RICH_TRUTH, RICH), resamples=200)
    low, high = report["interval95"]["accuracy_top1"]
    assert report["interval_unit"] == "case"
    assert (low, high) == (0, 1)  # a third of the cases is all wrong, and three draws may all hit it
    assert "calibration_error" not in report["interval95"]


def test_polarity_of_turned_images_is_compared_with_the_truth(tmp_path: Path) -> None:
    turned = RICH_TRUTH.replace("b,2,s,k1,G,1", "b,2,s,k1,G,-1")
    assert evaluate_classes(*write(tmp_path, turned, RICH), resamples=0)["accuracy_polarity"] == 1
