"""``karyo classify``, as a person runs it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from karyotyping.nomenclature.classes import CLASS_NAMES, class_name
from training.simulation import simulate

run = CliRunner().invoke


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A zip of the crops of a simulated cell, some upside down, and of four unusable files."""
    cell = simulate("46,XY", seed=12, nuclei=0, debris=0)
    path = tmp_path_factory.mktemp("report") / "report.zip"
    lines = ["file,class,cell,upright", "gone.png,1,one,0"]
    with zipfile.ZipFile(path, "w") as archive:
        for number, ((x, y, width, height), mask, class_id, axis) in enumerate(
            zip(cell.boxes, cell.masks, cell.classes, cell.axes, strict=True)
        ):
            cut = np.where(mask, cell.pixels, 255)[y : y + height, x : x + width]
            p_up = axis[0][1] < axis[-1][1]
            crop = io.BytesIO()
            Image.fromarray(cut if number % 2 else np.rot90(cut, 2)).save(crop, "PNG")
            archive.writestr(f"one/ü{number}.png", crop.getvalue())
            lines.append(f"one/ü{number}.png,{class_name(class_id)},one,{1 if p_up == (number % 2 == 1) else -1}")
        for name, content in (("empty.png", b""), ("text.png", b"not an image"), ("../up.png", crop.getvalue())):
            archive.writestr(name, content)
            lines.append(f"{name},1,one,0")
        archive.writestr("index.csv", "\n".join(lines))
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_report_is_classified_by_cell_and_evaluated(report: Path, tmp_path: Path) -> None:
    done = run(
        app, ["classify", str(report), "--by-cell", "cell", "--csv", str(tmp_path / "predictions.csv"), "--json"]
    )
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["classified"], summary["cells"]) == (46, 1)
    assert {item["file"]: item["reason"] for item in summary["rejected"]} == {
        "gone.png": "missing_crop",
        "empty.png": "empty_file",
        "text.png": "not_an_image",
        "../up.png": "outside_collection",
    }
    assert all(item["sentence"] for item in summary["rejected"])
    predictions = rows(tmp_path / "predictions.csv")
    columns = ["file", "class", "score", "top5", "assigned_class", "assigned_score", "p_up", "p_unknown"]
    assert list(predictions[0]) == columns
    assert [row["file"] for row in predictions] == [f"one/ü{number}.png" for number in range(46)]
    for row in predictions:
        assert row["top5"].split()[0] == row["class"]
        assert set(row["top5"].split()) < set(CLASS_NAMES)
        assert row["assigned_class"] in {*CLASS_NAMES, "?"}
        assert all(0 <= float(row[name] or 0) <= 1 for name in ("score", "assigned_score", "p_up", "p_unknown"))
    evaluated = run(app, ["evaluate", "classes", str(report), str(tmp_path / "predictions.csv"), "--resamples", "0"])
    metrics = json.loads(evaluated.stdout)
    assert metrics["chromosomes"] == 50
    assert metrics["accuracy_assigned"] > 0.75
    assert metrics["accuracy_polarity"] > 0.85


def test_each_cell_gets_a_karyogram(report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with zipfile.ZipFile(report) as archive:
        names = [name for name in archive.namelist() if name.startswith("one/")]
        for cell, chosen in (("a b", names[:3]), ("a+b", names[3:6]), ("c", names[6:9])):
            for name in chosen:
                (folder / cell).mkdir(parents=True, exist_ok=True)
                (folder / cell / Path(name).name).write_bytes(archive.read(name))
    command = [
        "classify",
        str(folder),
        "--csv",
        str(tmp_path / "predictions.csv"),
        "--karyograms",
        str(tmp_path / "drawn"),
    ]
    done = run(app, [*command, "--by-cell", "folder"])
    assert done.exit_code == 0, done.output
    pictures = sorted((tmp_path / "drawn").glob("*.png"))
    assert [path.name for path in pictures] == ["a_b.png", "a_b_1.png", "c.png"]
    assert all(path.with_suffix(".svg").read_text("utf-8").startswith(("<?xml", "<svg")) for path in pictures)
    assert all(np.asarray(Image.open(path).convert("L")).min() < 100 for path in pictures)
    assert run(app, command).exit_code == 2


def test_without_cells_no_class_is_assigned(report: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    with zipfile.ZipFile(report) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if name.startswith("one/")][:5])
    done = run(app, ["classify", str(folder), "--csv", str(tmp_path / "predictions.csv")])
    assert done.exit_code == 0, done.output
    assert "5 crops classified, 0 rejected" in done.stderr
    predictions = rows(tmp_path / "predictions.csv")
    assert [row["file"] for row in predictions] == [f"one/ü{number}.png" for number in range(5)]
    assert list(predictions[0]) == ["file", "class", "score", "top5", "p_up", "p_unknown"]


def test_rejected_crop_is_listed_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "broken [bold].png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    done = run(app, ["classify", str(tmp_path), "--by-cell", "folder", "--csv", str(tmp_path / "predictions.csv")])
    assert done.exit_code == 0, done.output
    assert "broken [bold].png" in done.stdout
    assert "truncated" in done.stdout
    assert rows(tmp_path / "predictions.csv") == []


def test_missing_output_folder_is_an_error_before_the_work(report: Path, tmp_path: Path) -> None:
    done = run(app, ["classify", str(report), "--csv", str(tmp_path / "nowhere" / "predictions.csv")])
    assert done.exit_code == 2
    assert "no folder" in done.stderr


def test_folder_without_images_is_an_error(tmp_path: Path) -> None:
    done = run(app, ["classify", str(tmp_path), "--csv", str(tmp_path / "predictions.csv")])
    assert done.exit_code == 1
    assert "no image files" in done.stderr


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "minimum"), [("pki3_gband.zip", 0.93), ("padova_qband.zip", 0.93), ("adir_dapi.zip", 0.65)]
)
def test_accuracy_on_real_reports_exceeds_a_minimum(test_data: Path, tmp_path: Path, name: str, minimum: float) -> None:
    with zipfile.ZipFile(test_data / name) as whole, zipfile.ZipFile(tmp_path / name, "w") as part:
        lines = list(csv.DictReader(io.StringIO(whole.read("index.csv").decode())))
        cells = sorted({row["cell"] for row in lines})
        chosen = [row for row in lines if row["cell"] in cells[:: len(cells) // 4][:4]]
        index = io.StringIO()
        writer = csv.DictWriter(index, list(lines[0]))
        writer.writeheader()
        writer.writerows(chosen)
        part.writestr("index.csv", index.getvalue())
        for row in chosen:
            part.writestr(row["file"], whole.read(row["file"]))
    predictions = tmp_path / "predictions.csv"
    assert run(app, ["classify", str(tmp_path / name), "--by-cell", "cell", "--csv", str(predictions)]).exit_code == 0
    evaluated = run(app, ["evaluate", "classes", str(tmp_path / name), str(predictions), "--resamples", "0"])
    assert json.loads(evaluated.stdout)["accuracy_assigned"] > minimum


def test_long_list_of_rejections_is_cut_for_people_only(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number}.png").write_bytes(b"")
    command = ["classify", str(tmp_path), "--csv", str(tmp_path / "predictions.csv")]
    done = run(app, command)
    assert "and 5 more" in done.stderr
    assert len(json.loads(run(app, [*command, "--json"]).stdout)["rejected"]) == 25
