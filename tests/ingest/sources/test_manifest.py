"""Manifests: their dialects, the labels that they give, and their rejections."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from db.schema import Priority
from ingest.rejections import IngestError, Rejected
from ingest.sources.base import Item
from ingest.sources.labels import Labels
from ingest.sources.manifest import ManifestSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "monday"
    (root / "A").mkdir(parents=True)
    for name in ("1.tif", "2.tif", "A/3.tif", "../outside.tif"):
        (root / name).write_bytes(b"decoded later")
    (root / "link.tif").symlink_to("../outside.tif")
    return root


def read(folder: Path, text: str | bytes, case: str = "") -> list[Item | Rejected]:
    manifest = folder / "manifest.csv"
    manifest.write_bytes(text.encode() if isinstance(text, str) else text)
    return ManifestSource(manifest, Labels(case)).items()


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_dialects_of_spreadsheets_are_read(folder: Path, separator: str, line_end: str, mark: str) -> None:
    lines = ["path,case,captured_at,priority", "1.tif,24-7,2024-05-31,STAT", "", "A/3.tif,,,"]
    first, second = read(folder, mark + line_end.join(lines).replace(",", separator))
    assert isinstance(first, Item)
    assert (first.labels.case, first.labels.priority) == ("24-7", Priority.STAT)
    assert first.labels.captured_at == datetime(2024, 5, 31, tzinfo=UTC)
    assert isinstance(second, Item)
    assert (second.labels.case, second.labels.priority, second.labels.captured_at) == ("A", Priority.ROUTINE, None)


def test_the_case_is_that_of_the_line_then_the_caller_then_the_folder(folder: Path) -> None:
    text = "path,case\n1.tif,24-7\n2.tif,\n"
    assert [item.labels.case for item in read(folder, text, "24-9") if isinstance(item, Item)] == ["24-7", "24-9"]
    assert [item.labels.case for item in read(folder, text) if isinstance(item, Item)] == ["24-7", "monday"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("absent.tif,,", "missing_file"),
        (",24-7,", "missing_path"),
        ("../outside.tif,,", "path_outside_folder"),
        ("/etc/hostname,,", "path_outside_folder"),
        ("link.tif,,", "symlink_outside_folder"),
        ("A,,", "not_a_file"),
        ("1.tif,31.05.2024,", "bad_date"),
        ("1.tif,2024-13-01,", "bad_date"),
        ("1.tif,,urgent", "bad_priority"),
        ("1.tif,,stat,more", "too_many_values"),
        ("2.tif,,", "listed_twice"),
        ('"new\nline.tif",,', "unsafe_name"),
        ("a\0b.tif,,", "unsafe_name"),
    ],
)
def test_a_wrong_line_is_rejected_alone(folder: Path, line: str, reason: str) -> None:
    good, bad = read(folder, f"path,captured_at,priority\n2.tif,,\n{line}\n")
    assert isinstance(good, Item)
    assert isinstance(bad, Rejected)
    assert bad.reason == reason
    if not reason.startswith(("symlink", "not_a", "unsafe")):
        assert bad.sentence.startswith("Line 3: ")


def test_control_characters_in_a_value_are_rejected(folder: Path) -> None:
    (bad,) = read(folder, "path,slide\n1.tif,a\x07b\n")
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.sentence[:14]) == ("bad_text", "Line 2: slide ")


def test_a_value_that_is_too_long_is_rejected(folder: Path) -> None:
    good, bad = read(folder, f"path,lab\n1.tif,{'a' * 200}\n2.tif,{'a' * 201}\n")
    assert isinstance(good, Item)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.sentence[:12]) == ("long_text", "Line 3: lab ")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "manifest_missing_column"),
        ("file,case\n1.tif,a\n", "manifest_missing_column"),
        ("path,patient\n1.tif,Jane Doe\n", "manifest_unknown_column"),
        (b"path,case\n1.tif,\xe9\n", "manifest_unreadable"),
        ('path,case\n1.tif,"never closed\n', "manifest_unreadable"),
    ],
)
def test_a_wrong_manifest_is_refused(folder: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(IngestError) as caught:
        read(folder, text)
    assert caught.value.reason == reason
    assert "manifest.csv" in caught.value.sentence


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(IngestError) as caught:
        ManifestSource(tmp_path / "absent.csv").items()
    assert caught.value.reason == "manifest_unreadable"
