"""``karyo evaluate classes``, as a person runs it."""

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
