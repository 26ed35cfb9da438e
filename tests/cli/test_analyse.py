"""``karyo analyse`` and the files of a folder: each gets a row, a reason, or is counted."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from cli.main import app
from karyotyping.pipeline import Pipeline
from tests.support import unknown_files
from training.simulation import simulate

run = CliRunner().invoke


def rows(path: Path) -> dict[str, str]:
    """Read the reason of each file, empty for those that were analysed."""
    with path.open(newline="") as stream:
        return {row["file_name"]: row["rejected"] for row in csv.DictReader(stream)}


def test_every_file_of_a_folder_gets_an_answer(tmp_path: Path) -> None:
    folder = tmp_path / "monday"
    folder.mkdir()
    pixels = Image.fromarray(simulate("46,XX", seed=3, nuclei=0, debris=0).pixels)
    pixels.save(folder / "cell", "TIFF")
    pixels.save(folder / f"{'x' * 251}.png")
    for name, data in unknown_files.FILES.items():
        if name not in unknown_files.IMAGES:
            (folder / name).write_bytes(data)
    os.mkfifo(folder / "pipe.tif")
    (folder / "new\nline.tif").write_bytes(b"")
    done = run(
        app, ["analyse", str(folder), "--coco", str(tmp_path / "c.json"), "--cells", str(tmp_path / "cells.csv")]
    )
    assert done.exit_code == 0, done.output
    reasons = rows(tmp_path / "cells.csv")
    assert reasons == unknown_files.REASONS | {
        "cell": "",
        f"{'x' * 251}.png": "",
        "pipe.tif": "not_a_file",
        "new\\nline.tif": "unsafe_name",
    }
    assert {item["file_name"] for item in json.loads((tmp_path / "c.json").read_text())} == {"cell", f"{'x' * 251}.png"}
    assert "10 files passed over: 2 text, " in done.stderr


@pytest.mark.parametrize("name", [None, "notes", "list.xml", "core"])
def test_a_folder_without_images_exits_with_1(tmp_path: Path, name: str | None) -> None:
    if name:
        (tmp_path / name).write_bytes(unknown_files.FILES[name])
    done = run(app, ["analyse", str(tmp_path)])
    assert done.exit_code == 1
    assert "no image files" in done.stderr
    found = {None: "there are no files", "notes": "1 text", "list.xml": "1 .xml", "core": "1 rejected"}
    assert found[name] in done.stderr


def test_a_missing_output_folder_is_an_error_before_the_work(tmp_path: Path) -> None:
    for option in ("--coco", "--cells"):
        done = run(app, ["analyse", str(tmp_path), option, str(tmp_path / "nowhere" / "out")])
        assert done.exit_code == 2
        assert f"there is no folder {tmp_path / 'nowhere'} to write out to" in done.stderr.replace("\n", "")
        assert run(app, ["analyse", str(tmp_path), option, str(tmp_path)]).exit_code == 2


def test_an_unexpected_error_ends_no_other_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2):
        Image.new("L", (80, 70), 60 * number).save(tmp_path / f"{number}.png")

    def fail(*_: object) -> None:
        raise MemoryError("no memory")

    monkeypatch.setattr(Pipeline, "analyse", fail)
    done = run(app, ["analyse", str(tmp_path), "--cells", str(tmp_path / "cells.csv")])
    assert done.exit_code == 1
    assert rows(tmp_path / "cells.csv") == {"1.png": "unexpected_error", "2.png": "unexpected_error"}
