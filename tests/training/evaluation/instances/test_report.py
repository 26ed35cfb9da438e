"""Report on instances: by hand on small cases, and against pycocotools on larger ones."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from karyotyping.model import encode_mask
from training.evaluation.instances.by_domain import domain_table
from training.evaluation.instances.report import evaluate

SIDE = 100


def instance(box: list[int], class_id: int, **more: Any) -> dict[str, Any]:
    mask = np.zeros((SIDE, SIDE), bool)
    x, y, w, h = box
    mask[y : y + h, x : x + w] = True
    return {"bbox": box, "category_id": class_id, "segmentation": encode_mask(mask), **more}


def write(folder: Path, images: list[dict[str, Any]], truth: list[dict[str, Any]], results: Any) -> tuple[Path, Path]:
    sizes = [{"width": SIDE, "height": SIDE, **image} for image in images]
    annotations = [{"id": number, "iscrowd": 0, "area": 1, **item} for number, item in enumerate(truth)]
    document = {"images": sizes, "annotations": annotations, "categories": []}
    paths = folder / "truth.json", folder / "results.json"
    for path, content in zip(paths, (document, results), strict=True):
        path.write_text(json.dumps(content), "utf-8")
    return paths


@pytest.fixture
def two_cells(tmp_path: Path) -> tuple[Path, Path]:
    """Cell a: both found, one wrong class. Cell b: one found, one in an unlabelled box."""
    images = [
        {"id": 7, "file_name": "a.png"},
        {"id": 8, "file_name": "b.png", "unlabelled": [[60, 60, 30, 30]]},
    ]
    truth = [
        instance([0, 0, 10, 30], 1, image_id=7),
        instance([20, 0, 10, 20], 2, image_id=7, overlap=True),
        instance([0, 0, 10, 30], 1, image_id=8),
        instance([40, 0, 10, 10], 24, image_id=8, overlap=True),
    ]
    results = [
        instance([0, 0, 10, 30], 1, file_name="a.png", image_id=1, score=0.9),
        instance([20, 0, 10, 18], 3, file_name="a.png", image_id=1, score=0.8),
        instance([0, 0, 10, 30], 1, file_name="cells/b.png", image_id=2, score=0.7),
        instance([65, 65, 10, 20], 5, file_name="cells/b.png", image_id=2, score=0.6),
        instance([0, 0, 10, 10], 5, file_name="c.png", image_id=3, score=0.6),
    ]
    return write(tmp_path, images, truth, results)


def test_figures_of_two_cells_equal_those_by_hand(two_cells: tuple[Path, Path]) -> None:
    report = evaluate(*two_cells, resamples=20)
    assert report["summary"]["results_for_other_images"] == 1
    for kind in ("bbox", "segm"):
        counted, excused = report["counted"][kind], report["excused"][kind]
        assert (counted["TP"], counted["FP"], counted["FN"]) == (3, 1, 1)
        assert (excused["TP"], excused["FP"], excused["FN"]) == (3, 0, 1)
        assert (counted["Acc"], counted["AER"], counted["WCR"]) == (3 / 5, 2 / 4, 1 / 2)
        assert (excused["Acc"], excused["AER"], excused["WCR"]) == (3 / 4, 1 / 4, 1 / 2)
        assert counted["class_accuracy"] == pytest.approx(2 / 3)
        assert counted["recall_overlapped"] == 1 / 2
        assert (counted["count_exact"], counted["count_error"]) == (1, 0)
        assert excused["count_bias"] == -1 / 2
        # Precision is 1 up to a recall of 3/4: 76 of COCO's 101 levels, 8 of the 11 of Eq. 6.
        assert counted["AP50"] == pytest.approx(76 / 101)
        assert counted["AP50_eq6"] == pytest.approx(8 / 11)
        assert counted["mAR"] == pytest.approx((9 * 0.75 + 0.5) / 10)  # the box of 18 rows has an IoU of .9
        assert counted["per_class"]["1"]["AP50"] == pytest.approx(1)
        assert counted["per_class"]["Y"]["recall"] == 0
        assert counted["per_class"]["Y"]["precision"] is None
    assert [row["file_name"] for row in report["images"]] == ["b.png", "a.png"]
    assert report["images"][1]["bbox_right_class"] == 1


def test_masks_have_edits_and_clinical_figures(two_cells: tuple[Path, Path]) -> None:
    report = evaluate(*two_cells, resamples=20)
    counted, excused = report["counted"]["segm"], report["excused"]["segm"]
    assert (counted["clinical_precision"], counted["clinical_recall"]) == (3 / 4, 3 / 4)
    assert (excused["clinical_precision"], excused["clinical_recall"]) == (1, 3 / 4)
    assert [counted[name] for name in ("edits", "splits", "joins", "deletions", "additions")] == [1, 0, 0, 0.5, 0.5]
    assert (excused["edits"], excused["deletions"]) == (0.5, 0)
    assert counted["interval95"]["edits"] == [0, 2]
    assert "edits" not in report["counted"]["bbox"]
    assert [row["additions"] for row in report["images"]] == [1, 0]
    above = evaluate(*two_cells, resamples=0, min_score=0.65)["counted"]["segm"]
    assert (above["clinical_precision"], above["deletions"]) == (1, 0)


def test_domain_has_the_figures_of_its_images(two_cells: tuple[Path, Path]) -> None:
    whole = json.loads(two_cells[0].read_text("utf-8"))
    whole["images"][0]["slide"], whole["images"][1]["slide"] = "S1", "S2"
    two_cells[0].write_text(json.dumps(whole), "utf-8")
    found = evaluate(*two_cells, resamples=5, by="slide")
    assert [(name, part["images"], part["chromosomes"]) for name, part in found["by"].items()] == [
        ("S1", 1, 2),
        ("S2", 1, 2),
    ]
    alone = whole | {"images": whole["images"][1:], "annotations": whole["annotations"][2:]}
    two_cells[0].write_text(json.dumps(alone), "utf-8")
    second = evaluate(*two_cells, resamples=5)
    for view in ("counted", "excused"):
        for kind in ("bbox", "segm"):
            figures = {name: value for name, value in second[view][kind].items() if name != "per_class"}
            assert found["by"]["S2"][view][kind] == figures
    headings, rows = domain_table(found, "slide")
    assert (headings[0], headings[-1]) == ("slide", "edits")
    assert [row[:3] for row in rows] == [["S1", "1", "2"], ["S2", "1", "2"], ["all", "2", "4"]]
    assert rows[1][-1] == "2.00\n2.00-2.00"
    with pytest.raises(ValueError, match=r"has the field 'probe'.*file_name, slide"):
        evaluate(*two_cells, by="probe")


def test_min_score_changes_enumeration_but_not_average_precision(two_cells: tuple[Path, Path]) -> None:
    everything, above = (evaluate(*two_cells, min_score=score, resamples=0)["counted"]["bbox"] for score in (0.0, 0.65))
    assert (above["FP"], everything["FP"]) == (0, 1)
    assert above["AP50"] == everything["AP50"]
    assert "interval95" not in above


def test_confidence_intervals_hold_the_figure_and_repeat(two_cells: tuple[Path, Path]) -> None:
    first, again = (evaluate(*two_cells, resamples=50, seed=3)["counted"]["bbox"] for _ in range(2))
    assert first["interval95"] == again["interval95"]
    low, high = first["interval95"]["WCR"]
    assert (low, high) == (0, 1)


def test_truth_without_masks_has_figures_of_boxes_only(tmp_path: Path) -> None:
    truth = [{"image_id": 1, "bbox": [0, 0, 10, 30], "category_id": 0}]
    results = [instance([0, 0, 10, 30], 1, image_id=1, score=1.0)]
    report = evaluate(*write(tmp_path, [{"id": 1, "file_name": "a.png"}], truth, results), resamples=0)
    assert report["counted"].keys() == {"bbox"}
    assert report["counted"]["bbox"]["AP50"] == report["counted"]["bbox"]["WCR"] == 1
    assert "per_class" not in report["counted"]["bbox"]
    assert "excused" not in report


def test_empty_results_and_empty_truth_have_figures(tmp_path: Path) -> None:
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    blank = write(tmp_path, images, [instance([0, 0, 10, 30], 1, image_id=1)], [])
    report = evaluate(*blank, resamples=10)["counted"]["bbox"]
    assert (report["AP50"], report["mAR"], report["FN"], report["WCR"]) == (0, 0, 1, 0.5)
    nothing = write(tmp_path, images, [], [instance([0, 0, 9, 9], 1, image_id=1, score=1)])
    report = evaluate(*nothing, resamples=0)["counted"]["bbox"]
    assert (report["AP50"], report["AER"], report["Acc"]) == (None, None, 0)


@pytest.mark.parametrize(
    ("truth", "results", "message"),
    [([], [], "no COCO ground truth"), ({"images": [], "annotations": []}, {}, "no COCO results list")],
)
def test_files_in_other_formats_are_rejected(tmp_path: Path, truth: Any, results: Any, message: str) -> None:
    (tmp_path / "truth.json").write_text(json.dumps(truth), "utf-8")
    (tmp_path / "results.json").write_text(json.dumps(results), "utf-8")
    with pytest.raises(ValueError, match=message):
        evaluate(tmp_path / "truth.json", tmp_path / "results.json")


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_figures_equal_those_of_pycocotools(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(5)
    truth, results = [], []
    for image in range(1, 7):
        for _ in range(15):
            x, y, w, h = (int(n) for n in (*random.integers(0, 60, 2), *random.integers(8, 30, 2)))
            truth.append(instance([x, y, w, h], 1, image_id=image))
            if random.random() < 0.8:
                near = [x + int(random.integers(0, 3)), y, w, max(4, h - int(random.integers(0, 8)))]
                results.append(instance(near, 1, image_id=image, score=float(random.random())))
        results.append(instance([70, 70, 12, 12], 1, image_id=image, score=0.5))
    images = [{"id": number, "file_name": f"{number}.png"} for number in range(1, 7)]
    paths = write(tmp_path, images, truth, results)
    ours = evaluate(*paths, resamples=0)["counted"][kind]
    assert capsys.readouterr().out == ""

    document = json.loads(paths[0].read_text("utf-8"))
    document["categories"] = [{"id": 1, "name": "1"}]
    document["annotations"] = [{**item, "id": item["id"] + 1} for item in document["annotations"]]
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = document
        reference.createIndex()
        evaluation = COCOeval(reference, reference.loadRes(json.loads(paths[1].read_text("utf-8"))), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    theirs = dict(zip(["mAP", "AP50", "AP75"], evaluation.stats[:3], strict=True)) | {"mAR": evaluation.stats[8]}
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs)
