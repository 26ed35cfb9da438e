"""Folders and zips of single-chromosome crops: names, cells and rejections."""

from __future__ import annotations

import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.rejections import IngestError, Rejected
from ingest.sources.crops import ListedCrop, open_collection

Build = Callable[[dict[str, bytes]], Path]


def folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (path / "crops" / name).parent.mkdir(parents=True, exist_ok=True)
        (path / "crops" / name).write_bytes(content)
    return path / "crops"


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path / "crops.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in files.items():
            target.writestr(name, content)
    return path / "crops.zip"


@pytest.fixture(params=[folder, archive])
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Build:
    """Makes the same collection as a folder or as a zip."""
    return lambda files: request.param(tmp_path, files)


def listed(path: Path, by_cell: str | None = None) -> list[tuple[str, str | None]]:
    """Name and cell of each crop, name and reason of each rejection."""
    with open_collection(path) as collection:
        return [
            (crop.name, crop.cell if isinstance(crop, ListedCrop) else crop.reason)
            for crop in collection.crops(by_cell)
        ]


def test_crops_of_every_folder_are_listed_in_natural_order(build: Build) -> None:
    files = ["cell 10/a.png", "cell 9/ü.PNG", "b.tif", ".hidden.png", "cell 9/.DS_Store", "notes.txt", "deep/er/c.jpg"]
    path = build(dict.fromkeys(files, b"x"))
    assert [name for name, _ in listed(path)] == ["b.tif", "cell 9/ü.PNG", "cell 10/a.png", "deep/er/c.jpg"]
    assert [cell for _, cell in listed(path, "folder")] == [".", "cell 9", "cell 10", "deep/er"]


def test_the_index_gives_order_and_cells_and_its_errors_are_rejected(build: Build) -> None:
    lines = ["file;cell", "b.png;1", "a.png;1", "gone.png;1", "b.png;2", "odd;3", ";4", "c.png;", "../d.png;5"]
    path = build(dict.fromkeys(["a.png", "b.png", "c.png", "late.png", "odd"], b"x") | {"index.csv": bom(lines)})
    crops = listed(path, "cell")
    inside = [crop for crop in crops if crop[0] != "../d.png"]
    assert inside == [
        ("b.png", "1"),
        ("a.png", "1"),
        ("gone.png", "missing_crop"),
        ("b.png", "listed_twice"),
        ("odd", "3"),
        ("line 7", "missing_crop"),
        ("c.png", "missing_cell"),
        ("late.png", "missing_cell"),
    ]
    assert dict(crops)["../d.png"] in ("missing_crop", "outside_collection")
    assert [name for name, _ in listed(path)][:2] == ["b.png", "a.png"]


def bom(lines: list[str]) -> bytes:
    return "\r\n".join(lines).encode("utf-8-sig")


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (None, "manifest_unreadable"),
        (b"file,case\na.png,1\n", "manifest_missing_column"),
        (b"name,cell\na.png,1\n", "manifest_missing_column"),
        (b"file,cell\n\x81,1\n", "manifest_unreadable"),
        (b"file,cell,Cell\na.png,1,2\n", "manifest_duplicate_column"),
        (b'file,cell\n"a.png,1\n', "manifest_unreadable"),
    ],
)
def test_an_index_without_cells_is_refused(build: Build, index: bytes | None, reason: str) -> None:
    path = build({"a.png": b"x"} | ({} if index is None else {"index.csv": index}))
    with pytest.raises(IngestError) as raised:
        listed(path, "cell")
    assert raised.value.reason == reason
    assert "index.csv" in raised.value.sentence


def test_names_that_lead_elsewhere_or_come_twice_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "hostile.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in ("../up.png", "/etc/root.png", "..\\b.png", "alert\x07.png", "good.png", "__MACOSX/._good.png"):
            target.writestr(name, b"first")
        with pytest.warns(UserWarning, match="Duplicate"):
            target.writestr("good.png", b"second")
    crops = listed(path)
    assert len(crops) == 6
    assert set(crops) == {
        ("../up.png", "outside_collection"),
        ("..\\b.png", "outside_collection"),
        ("/etc/root.png", "outside_collection"),
        ("alert\\x07.png", "unsafe_name"),
        ("good.png", None),
        ("good.png", "named_twice"),
    }
    with open_collection(path) as collection:
        assert collection.read("good.png", 100) == b"first"


def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    path = folder(tmp_path, {"a.png": b"x", "index.csv": b"file\nlink.png\n"})
    (path / "link.png").symlink_to(tmp_path / "secret.png")
    assert listed(path) == [("link.png", "symlink_outside_folder"), ("a.png", None)]


def test_a_bomb_is_rejected_by_the_size_that_it_claims(tmp_path: Path) -> None:
    path = archive(tmp_path, {"bomb.png": bytes(10**6), "liar.png": bytes(10**6)})
    data = bytearray(path.read_bytes())
    for at in (data.rindex(b"liar.png") - 46 + 24, data.index(b"liar.png") - 30 + 22):
        struct.pack_into("<I", data, at, 5)
    path.write_bytes(data)
    with open_collection(path) as collection:
        bomb = collection.read("bomb.png", 1000)
        liar = collection.read("liar.png", 1000)
    assert isinstance(bomb, Rejected)
    assert bomb.reason == "too_many_bytes"
    assert isinstance(liar, Rejected)
    assert liar.reason == "damaged_archive"


def test_locked_and_damaged_entries_are_rejected_alone(tmp_path: Path) -> None:
    path = archive(tmp_path, {"damaged.png": b"x" * 100, "locked.png": b"y" * 100, "good.png": b"z"})
    data = bytearray(path.read_bytes())
    data[data.index(b"damaged.png") + 11] ^= 0xFF
    for at in (data.rindex(b"locked.png") - 46 + 8, data.index(b"locked.png") - 30 + 6):
        data[at] |= 1
    path.write_bytes(data)
    with open_collection(path) as collection:
        read = {name: collection.read(name, 1000) for name in ("damaged.png", "locked.png", "good.png")}
    assert read.pop("good.png") == b"z"
    assert [item.reason for item in read.values() if isinstance(item, Rejected)] == ["damaged_archive", "locked"]


def test_utf8_names_that_are_not_marked_as_such_are_read(tmp_path: Path) -> None:
    path = archive(tmp_path, {"ü.png": b"x"})
    data = bytearray(path.read_bytes())
    name = "ü.png".encode()
    for at in (data.rindex(name) - 46 + 8, data.index(name) - 30 + 6):
        struct.pack_into("<H", data, at, 0)
    path.write_bytes(data)
    assert listed(path) == [("ü.png", None)]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and nothing", b"\x89PNG\r\n\x1a\n"])
def test_neither_folder_nor_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "crops.zip"
    path.write_bytes(content)
    with pytest.raises(IngestError) as raised, open_collection(path):
        pass
    assert raised.value.reason == "not_a_collection"


def test_files_that_are_no_images_are_counted(build: Build) -> None:
    path = build({"a.png": b"x", "notes.txt": b"", "README": b"text", ".hidden": b"", "index.csv": b"file\na.png\n"})
    with open_collection(path) as collection:
        assert [crop.name for crop in collection.crops()] == ["a.png"]
        assert sorted(file.kind for file in collection.passed_over) == [".txt", "hidden", "text"]


def test_an_index_as_spreadsheets_save_it_is_read(build: Build) -> None:
    lines = "sep=;\r\n FILE ;Cell Number;\r\ncell 1\\Ü.PNG;1;\r\nB.png;2;\r\n;;\r\n"
    name = unicodedata.normalize("NFD", "cell 1/Ü.png")
    path = build({name: b"x", "b.png": b"x", "index.csv": lines.encode("utf-16")})
    assert listed(path, "cell_number") == [(name, "1"), ("b.png", "2")]


def test_a_name_that_can_mean_two_files_is_rejected(build: Build) -> None:
    path = build({"a.png": b"x", "A.PNG": b"x", "index.csv": b"file,cell\nA.png,1\na.png,2\n"})
    assert listed(path, "cell") == [("A.png", "ambiguous_path"), ("a.png", "2"), ("A.PNG", "missing_cell")]
