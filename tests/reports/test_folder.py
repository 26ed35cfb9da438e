"""The folder of a report: one run, its marker, and files of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reports.folder import MARKER, ReportFolderError, claim_folder, open_report

PIPELINE = {"name": "test", "digest": "d" * 64}


def write(folder: Path, *files: str) -> None:
    with open_report(folder, files, pipeline=PIPELINE):
        for name in files:
            (folder / name).write_text(name)


def contents(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_the_earlier_run_are_removed_and_no_others(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    write(folder, "cases.csv", "karyograms/A.png")
    (folder / "notes.txt").write_text("of the reader")
    (folder / "karyograms" / "print.pdf").write_text("of the reader")
    write(folder, "cases.csv", "karyograms/B.png")
    assert contents(folder) == {MARKER, "cases.csv", "karyograms/B.png", "karyograms/print.pdf", "notes.txt"}
    marker = json.loads((folder / MARKER).read_text())
    assert marker["files"] == ["cases.csv", "karyograms/B.png"]
    assert marker["complete"]
    assert marker["pipeline"] == PIPELINE


@pytest.mark.parametrize("name", ["cases.csv", ".hidden", MARKER])
def test_a_folder_with_files_of_others_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"files": ["a"]}')
    for use in (claim_folder(tmp_path), open_report(tmp_path, ["cases.csv"], pipeline=PIPELINE)):
        with pytest.raises(ReportFolderError, match="choose another --out, or empty it"), use:
            pass
    assert contents(tmp_path) == {name}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("")
    for path in (tmp_path / "report", tmp_path / "report" / "below"):
        with pytest.raises(ReportFolderError, match="--out"), claim_folder(path):
            pass


def test_an_interrupted_report_is_no_mixture_and_is_replaced(tmp_path: Path) -> None:
    write(tmp_path, "cases.csv", "karyograms/A.png")

    def write_half() -> None:
        with open_report(tmp_path, ["karyograms/B.png", "x.csv"], pipeline=PIPELINE):
            (tmp_path / "karyograms" / "B.png").write_text("B")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert contents(tmp_path) == {MARKER, "karyograms/B.png"}
    assert not json.loads((tmp_path / MARKER).read_text())["complete"]
    write(tmp_path, "karyograms/C.png")
    assert contents(tmp_path) == {MARKER, "karyograms/C.png"}


def test_a_report_whose_removal_was_interrupted_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.csv", "b.csv")
    unlink = Path.unlink

    def stop(path: Path, missing_ok: bool = False) -> None:
        if path.name == "b.csv":
            raise KeyboardInterrupt
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stop)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, "c.csv")
    monkeypatch.undo()
    assert contents(tmp_path) == {MARKER, "b.csv"}
    write(tmp_path, "d.csv")
    assert contents(tmp_path) == {MARKER, "d.csv"}


def test_a_marker_removes_nothing_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("stays")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.txt").write_text("stays")
    folder = tmp_path / "report"
    write(folder, "cases.csv")
    (folder / "link").symlink_to("../elsewhere")
    marker = json.loads((folder / MARKER).read_text())
    marker["files"] += ["../outside.txt", str(tmp_path / "outside.txt"), "link/a.txt", "karyograms"]
    (folder / MARKER).write_text(json.dumps(marker))
    write(folder, "cases.csv")
    assert (tmp_path / "outside.txt").exists()
    assert (tmp_path / "elsewhere" / "a.txt").exists()


def test_two_runs_at_once_do_not_share_a_folder(tmp_path: Path) -> None:
    with claim_folder(tmp_path / "report"):
        with pytest.raises(ReportFolderError, match="Another run"), claim_folder(tmp_path / "report"):
            pass
        write(tmp_path / "report", "cases.csv")
    with claim_folder(tmp_path / "report"):
        pass
