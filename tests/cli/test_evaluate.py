"""``karyo evaluate``, as a person runs it."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app

run = CliRunner().invoke


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """A report of two crops as truth, and predictions with one mistake."""
    crop = BytesIO()
    Image.new("L", (8, 20), 90).save(crop, "PNG")
    with zipfile.ZipFile(tmp_path / "report.zip", "w") as archive:
        archive.writestr("index.csv", "file,class,cell,case\na.png,1,c,k\nb.png,2,c,k\n")
        for name in ("a.png", "b.png"):
            archive.writestr(name, crop.getvalue())
    (tmp_path / "predictions.csv").write_text("file,class,score,top5\na.png,1,1,1\nb.png,3,0.5,3\n", "utf-8")
    return str(tmp_path / "report.zip"), str(tmp_path / "predictions.csv")


def test_json_on_stdout_and_pictures_in_a_folder(files: tuple[str, str], tmp_path: Path) -> None:
    done = run(app, ["evaluate", "classes", *files, "--figures", str(tmp_path / "figures"), "--resamples", "5"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["accuracy_top1"], found["cells_right"], found["interval95"]["cells_right"]) == (0.5, 0, [0, 0])
    drawn = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert drawn == ["confusion.png", "errors.png", "reliability.png", "risk_coverage.png"]


def test_what_is_wrong_with_a_file_is_one_sentence(files: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("file,label\na.png,1\n", "utf-8")
    done = run(app, ["evaluate", "classes", str(tmp_path / "other.csv"), files[1]])
    assert done.exit_code == 1
    assert "lacks the columns class" in done.stderr


def test_crops_want_a_folder_for_figures(files: tuple[str, str]) -> None:
    done = run(app, ["evaluate", "classes", *files, "--crops", files[0]])
    assert done.exit_code == 2
    assert "--figures" in done.stderr


@pytest.fixture
def found(tmp_path: Path) -> tuple[str, str]:
    """A truth of one image of a slide, and one result, which is right."""
    box = {"bbox": [5, 5, 10, 30], "image_id": 1, "category_id": 1}
    image = {"id": 1, "file_name": "a.png", "width": 60, "height": 50, "slide": "S1"}
    (tmp_path / "truth.json").write_text(json.dumps({"images": [image], "annotations": [box | {"id": 1}]}), "utf-8")
    (tmp_path / "results.json").write_text(json.dumps([box | {"score": 0.9}]), "utf-8")
    Image.new("L", (60, 50), 90).save(tmp_path / "a.png")
    return str(tmp_path / "truth.json"), str(tmp_path / "results.json")


def test_instances_by_domain_are_json_a_table_and_pictures(found: tuple[str, str], tmp_path: Path) -> None:
    where = ["--figures", str(tmp_path / "figures"), "--images", str(tmp_path), "--worst", "1"]
    done = run(app, ["evaluate", "coco", *found, "--by", "slide", "--resamples", "5", *where])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["by"]["S1"]["counted"]["bbox"]["WCR"] == 1
    assert "S1" in done.stderr
    assert "box AP.5" in done.stderr
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "counts.png",
        "precision_recall.png",
        "worst_01_a.png",
    ]


def test_what_cannot_be_evaluated_is_one_sentence(found: tuple[str, str], tmp_path: Path) -> None:
    unknown = run(app, ["evaluate", "coco", *found, "--by", "probe"])
    assert (unknown.exit_code, "fields with text are file_name, slide" in unknown.stderr) == (1, True)
    swapped = run(app, ["evaluate", "coco", *reversed(found)])
    assert (swapped.exit_code, "is no COCO ground truth" in swapped.stderr) == (1, True)
    homeless = run(app, ["evaluate", "coco", *found, "--images", str(tmp_path)])
    assert (homeless.exit_code, "--figures" in homeless.stderr) == (2, True)
