"""``karyo validate``: simulated cases through the real pipeline, resumed and compared."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import fields
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.validate import KEPT
from karyotyping.case.cell import CellSummary
from karyotyping.pipeline import Pipeline
from reports.kept_cells import KeptCells
from tests.cli.test_extras import run_without
from training.simulation import write_dataset

run = CliRunner().invoke


@pytest.fixture(scope="module")
def backlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of images, with a truth of cases that can be compared and of cases that cannot."""
    folder = tmp_path_factory.mktemp("backlog")
    write_dataset(folder, {"A": "46,XX", "B": "47,XY,+21"}, 3, seed=5)
    shutil.copytree(folder / "A", folder / "translocation")
    shutil.copytree(folder / "A", folder / "scribble")
    shutil.copytree(folder / "A", folder / "forgotten")
    (folder / "A" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    rows = [
        ("A", "46,XX", ""),
        ("B", "47,XY,+21", "abnormal"),
        ("translocation", "46,XX,t(11;22)(q23;q11)", ""),
        ("scribble", "female, normal", ""),
        ("lost slide", "46,XY", ""),
    ]
    with (folder / "signed.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("case", "ISCN", "outcome"), *rows])
    return folder


def validate(backlog: Path, out: Path, *options: str) -> list[str]:
    """Validate, and return the lines of stderr."""
    done = run(app, ["validate", str(backlog), "--truth", str(backlog / "signed.csv"), "--out", str(out), *options])
    assert done.exit_code == 0, done.output
    return done.stderr.splitlines()


def test_a_backlog_is_judged_resumed_and_compared(
    backlog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    analysed: list[object] = []
    analyse = Pipeline.analyse

    def count(self: Pipeline, pixels: object) -> object:
        analysed.append(pixels)
        return analyse(self, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(Pipeline, "analyse", count)
    out = tmp_path / "out"
    lines = validate(backlog, out)
    assert len(analysed) == 6  # the same bytes are analysed once, and cases without a truth are not
    words = "\n".join(lines)
    assert "scribble is left out" in words
    assert "forgotten is left out: Its 3 images have no row in the truth." in words
    assert "lost slide is left out: It has no images." in words
    assert "3 cases judged, 3 left out, 1 images without a result" in words

    document = json.loads((out / "validation.json").read_text())
    rows = list(csv.DictReader((out / "validation.csv").read_text().splitlines()))
    assert [(row["case"], row["truth_kind"], row["analysed"], row["images"]) for row in rows] == [
        ("A", "normal", "3", "4"),
        ("B", "abnormal", "3", "3"),
        ("translocation", "not looked at", "3", "3"),
    ]
    assert rows[2]["verdict"] == "not looked at"
    assert (rows[2]["outcome"], rows[2]["posterior"]) == (rows[0]["outcome"], rows[0]["posterior"])
    assert document["figures"]["called"]["of"] == 2
    assert document["figures"]["sensitivity_of_all"]["of"] == document["figures"]["specificity_of_all"]["of"] == 1
    assert document["verdicts"]["false normal"] == document["verdicts"]["false abnormal"] == 0
    assert document["edits"]["cells"] == int(rows[0]["known_cells"]) + int(rows[1]["known_cells"]) > 0
    assert [(item["name"], item["reason"]) for item in document["not_analysed"]] == [("A/broken.png", "damaged")]

    kept = (out / KEPT).read_text().splitlines()
    (out / KEPT).write_text("\n".join(kept[:4]) + "\n" + kept[4][:70])  # interrupted while it wrote
    analysed.clear()
    before = json.loads((out / "validation.json").read_text())
    validate(backlog, out)
    assert len(analysed) == sum('"cell": null' not in line for line in kept[4:]) > 0
    assert json.loads((out / "validation.json").read_text()) == before

    page = (out / "validation.html").read_text()
    assert "http" not in page
    assert page.count("data:image/png;base64,") == bool(document["figures"]["called"]["count"])
    done = run_without(
        ["matplotlib"], ["validate", str(backlog), "--truth", str(backlog / "signed.csv"), "--out", str(out), "--json"]
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == before
    page = (out / "validation.html").read_text()
    assert "pip install &#39;karyoflow[train]&#39;" in page or "pip install 'karyoflow[train]'" in page
    assert "data:image" not in page


def test_kept_cells_are_the_analysed_ones(tmp_path: Path) -> None:
    """With every fact; cultures and colonies are not asked for."""
    facts = {"band_level": 400, "outline_edits": 1.5, "class_edits": 0.5, "unexplained_objects": 2, "touching": 3}
    doubts = {"doubts": {(21, 22): 0.25}, "outline_doubts": {1: 0.125}}
    cell = CellSummary(0, {1: 2, 24: 1}, 4, 0.123456789, called=False, **facts, **doubts)  # type: ignore[arg-type]
    plain = CellSummary(0, {}, 0, 0.0)
    same = {field.name for field in fields(cell) if getattr(cell, field.name) == getattr(plain, field.name)}
    assert same == {"analysis_id", "culture", "colony"}
    KeptCells(tmp_path / "a.jsonl").add("key", cell)
    assert KeptCells(tmp_path / "a.jsonl").get("key", "a.png") == cell
    assert KeptCells(tmp_path / "a.jsonl").get("other", "a.png") is None


@pytest.mark.parametrize(
    ("truth", "code", "sentence"),
    [
        ("case,iscn\nZ,46", 1, "no case has both images and a readable truth"),
        ("case,text\nA,46", 2, "needs the column case, and iscn or outcome"),
        ("iscn\n46", 2, "needs the column case, and iscn or outcome"),
    ],
)
def test_a_truth_without_use_is_one_sentence(
    backlog: Path, tmp_path: Path, truth: str, code: int, sentence: str
) -> None:
    (tmp_path / "truth.csv").write_text(truth)
    done = run(app, ["validate", str(backlog), "--truth", str(tmp_path / "truth.csv"), "--out", str(tmp_path / "out")])
    assert done.exit_code == code
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_stays(backlog: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    done = run(app, ["validate", str(backlog), "--truth", str(backlog / "signed.csv"), "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "holds files that are no validation" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
