"""Folders: every file in them gets an answer."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.rejections import Rejected
from ingest.sources.base import Item
from ingest.sources.folder import FolderSource, image_files, open_images
from tests.support.unknown_files import ANSWERS, FILES, answer_by_name

IN_REPORT = "in a report of karyoflow"


def answers(folder: Path) -> dict[str, str]:
    """Return the answers to every file of a folder."""
    return answer_by_name(FolderSource(folder).items())


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def test_files_without_a_known_suffix_are_judged_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "A").mkdir()
    for name, data in FILES.items():
        (tmp_path / "A" / name).write_bytes(data)
    assert answers(tmp_path) == {f"A/{name}": answer for name, answer in ANSWERS.items()}
    assert {file.name for file in image_files(tmp_path)} == {
        "A/trailing.png ", "A/camera.jfif", "A/slide.zvi", "A/slide.vsi",
    }  # fmt: skip


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # the path of a socket has at most 107 bytes
        server.bind(path.name)


PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "pipe": ("not_a_file", os.mkfifo),
    "socket": ("not_a_file", _socket),
    "folder.png": ("not_a_file", Path.mkdir),
    "out": ("symlink_outside_folder", lambda path: path.symlink_to("../outside")),
    "parent": ("symlink_outside_folder", lambda path: path.symlink_to("..")),
    "dangling": ("broken_symlink", lambda path: path.symlink_to("nowhere")),
    "circle": ("broken_symlink", lambda path: path.symlink_to("circle")),
    "new\nline": ("unsafe_name", lambda path: path.write_bytes(b"text")),
    "latin-1 \udce9": ("unsafe_name", lambda path: path.write_bytes(b"text")),
    "-rf.png": ("monday", lambda path: path.write_bytes(b"")),
    "\U0001f9ec.png": ("monday", lambda path: path.write_bytes(b"")),
    "x" * 251 + ".png": ("monday", lambda path: path.write_bytes(b"")),
}


@pytest.mark.parametrize("name", PLACES)
def test_odd_names_and_places_get_an_answer(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").write_bytes(b"")
    (tmp_path / "monday").mkdir()
    answer, make = PLACES[name]
    make(tmp_path / "monday" / name)
    assert list(answers(tmp_path / "monday").values()) == [answer]


def test_files_in_a_folder_that_is_named_like_an_image_are_found(tmp_path: Path) -> None:
    write(tmp_path, "folder.png/a.tif")
    assert answers(tmp_path) == {"folder.png": "not_a_file", "folder.png/a.tif": "folder.png"}


def test_a_link_to_a_folder_inside_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, "A/a.tif")
    (tmp_path / "link").symlink_to("A")
    (tmp_path / "A" / "up").symlink_to("..")
    assert answers(tmp_path) == {"A/a.tif": "A"}


def test_a_deep_folder_is_walked(tmp_path: Path) -> None:
    depth = 400
    write(tmp_path, f"{'a/' * depth}1.tif")
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth - 50)
    try:
        assert answers(tmp_path) == {f"{'a/' * depth}1.tif": "long_text"}
    finally:
        sys.setrecursionlimit(limit)


def test_reports_of_karyoflow_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "out/report.html", "out/karyograms/a.png", "out/b.png")
    write(tmp_path, "marked/report.json", "marked/overlays/a.png", "user/report.json", "user/a.png")
    assert answers(tmp_path) == {
        "a.png": tmp_path.name,
        "out/report.html": IN_REPORT,
        "out/karyograms/a.png": IN_REPORT,
        "out/b.png": IN_REPORT,
        "marked/report.json": IN_REPORT,
        "marked/overlays/a.png": IN_REPORT,
        "user/report.json": ".json",
        "user/a.png": "user",
    }


def test_images_beside_a_report_at_the_top_are_found(tmp_path: Path) -> None:
    write(tmp_path, "a.png", "report.html", "karyograms/a.png", "overlays/a.png")
    assert answers(tmp_path) == {
        "a.png": tmp_path.name,
        "report.html": ".html",
        "karyograms/a.png": IN_REPORT,
        "overlays/a.png": IN_REPORT,
    }


def test_a_sparse_file_over_the_limit_is_rejected(tmp_path: Path) -> None:
    with (tmp_path / "sparse.tif").open("wb") as file:
        file.truncate(10**12)
    (item,) = FolderSource(tmp_path).items()
    assert isinstance(item, Item)
    rejection = item.read(1000)
    assert isinstance(rejection, Rejected)
    assert rejection.reason == "too_many_bytes"


def test_a_single_file_is_opened_whatever_its_name(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"text")
    (item,) = open_images(tmp_path / "notes.txt")
    assert isinstance(item, Item)
    assert (item.name, item.read(100)) == ("notes.txt", b"text")
