"""Manifests: their dialects, the labels that they give, and their rejections."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from pathlib import Path

import openpyxl
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
    assert first.labels.captured_at == datetime(2024, 5, 31).astimezone()
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
        ("..\\outside.tif,,", "path_outside_folder"),
        ("C:\\pics\\1.tif,,", "absolute_path"),
        ("\\\\server\\pics\\1.tif,,", "absolute_path"),
        ("link.tif,,", "symlink_outside_folder"),
        ("A,,", "not_a_file"),
        ("1.tif,31.02.2024,", "bad_date"),
        ("1.tif,01/02/2024,", "ambiguous_date"),
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
        (b"path,case\n1.tif,\x81\n", "manifest_unreadable"),
        ("path,case,Case \n1.tif,a,b\n", "manifest_duplicate_column"),
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


def labels(folder: Path, text: str | bytes) -> list[tuple[str, str]]:
    """Name and case of each item, name and reason of each rejection."""
    items = read(folder, text)
    return [(item.name, item.labels.case if isinstance(item, Item) else item.reason) for item in items]


@pytest.mark.parametrize(
    "text",
    [
        "path;case;priority\r\n1.tif;K-1;routine\r\n;;\r\n;;\r\n",
        "path;case;priority;\r\n1.tif;K-1;routine;\r\n",
        "sep=;\r\nPath;Case\r\n1.tif;K-1\r\n",
        "sep=\t\npath\tcase\n1.tif\tK-1\n",
        "\n\n PATH |c a s e| Captured-At \r1.tif|K-1|31.05.2024 14:30\r\r",
        '"path","case"\n"1.tif","K-1"\n""\n',
        'path,case\n1.tif,"=""K-1"""\n',
        "path,case,,\n1.tif,K-1,,\n,,,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_as_spreadsheets_save_them_are_read(folder: Path, text: str, encoding: str) -> None:
    assert labels(folder, text.encode(encoding)) == [("1.tif", "K-1")]


def test_windows_1252_is_read_with_a_note(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    manifest.write_bytes(b"path;case\n1.tif;M\xfcller\n")
    source = ManifestSource(manifest)
    assert [item.labels.case for item in source.items() if isinstance(item, Item)] == ["Müller"]
    assert "Windows-1252" in source.notes[0]


def test_files_are_found_in_another_normal_form_case_or_separator(folder: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Mü")
    (folder / decomposed).mkdir()
    (folder / decomposed / "Ä.PNG").write_bytes(b"")
    (folder / "b.tif").write_bytes(b"")
    (folder / "B.tif").write_bytes(b"")
    text = "path,case\nMü\\ä.png,K-1\na/3.TIF,K-2\nb.tif,K-3\nb.TIF,K-4\n./2.tif,K-5\n"
    assert labels(folder, text) == [
        (f"{decomposed}/Ä.PNG", "K-1"),
        ("A/3.tif", "K-2"),
        ("b.tif", "K-3"),
        ("b.TIF", "ambiguous_path"),
        ("2.tif", "K-5"),
    ]


def test_a_name_with_a_blank_at_its_end_is_found(folder: Path) -> None:
    (folder / "4.tif ").write_bytes(b"")
    assert labels(folder, "path,case\n4.tif ,K-1\n 1.tif ,K-2\n") == [("4.tif ", "K-1"), ("1.tif", "K-2")]


def test_a_line_is_numbered_where_it_starts(folder: Path) -> None:
    _, bad = read(folder, 'path,slide,priority\n1.tif,"a b",\n\n2.tif,x,"ur\ngent"\n')
    assert isinstance(bad, Rejected)
    assert bad.sentence.startswith("Line 4: priority ")


def workbook(folder: Path, *rows: list[object], formats: dict[str, str] | None = None) -> Path:
    book = openpyxl.Workbook()
    book.active.append(["Notes of the laboratory"])
    sheet = book.create_sheet("Images")
    for row in rows:
        sheet.append(row)
    for cell, number_format in (formats or {}).items():
        sheet[cell].number_format = number_format
    path = folder / "manifest.xlsx"
    book.save(path)
    return path


def test_a_workbook_is_read(folder: Path) -> None:
    path = workbook(
        folder,
        ["Backlog of May"],
        [" Path ", "CASE", "Captured At"],
        ["1.tif", 24001234, datetime(2024, 5, 31, 14, 30)],
        [],
        ["2.tif", 123, "2024-05-31"],
        ["A/3.tif", 24.1],
        formats={"B5": "00000", "B6": "0.00"},
    )
    items = [item for item in ManifestSource(path).items() if isinstance(item, Item)]
    assert [(item.name, item.labels.case) for item in items] == [
        ("1.tif", "24001234"),
        ("2.tif", "00123"),
        ("A/3.tif", "24.10"),
    ]
    assert items[0].labels.captured_at == datetime(2024, 5, 31, 14, 30).astimezone()


@pytest.mark.parametrize(
    ("value", "number_format", "reason"),
    [
        (date(2024, 1, 24), None, "cell_is_date"),
        ("=A1", None, "cell_without_value"),
        ("#N/A", None, "cell_error"),
        (12345678901234567, None, "cell_long_number"),
        (240001, '00"-"0000', "cell_number_format"),
        (0.24, "0%", "cell_number_format"),
    ],
)
def test_a_cell_that_is_no_accession_number_is_named(
    folder: Path, value: object, number_format: str | None, reason: str
) -> None:
    formats = {"B2": number_format} if number_format else {}
    path = workbook(folder, ["path", "case"], ["1.tif", value], ["2.tif", "K-2"], formats=formats)
    bad, good = ManifestSource(path).items()
    assert isinstance(bad, Rejected)
    assert (bad.name, bad.reason, bad.sentence[:13]) == ("1.tif", reason, "Line 2: case ")
    assert isinstance(good, Item)


def test_a_damaged_workbook_is_refused(folder: Path) -> None:
    path = workbook(folder, ["path"], ["1.tif"])
    data = bytearray(path.read_bytes())
    data[200:400] = bytes(200)
    path.write_bytes(data)
    with pytest.raises(IngestError) as caught:
        ManifestSource(path).items()
    assert caught.value.reason == "manifest_unreadable"


def test_a_workbook_that_unpacks_to_too_much_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sources.workbook.MAX_TABLE_BYTES", 1000)
    with pytest.raises(IngestError, match="unpacks to"):
        ManifestSource(workbook(folder, ["path"], ["1.tif"])).items()


def test_a_manifest_of_too_many_bytes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sources.manifest.MAX_TABLE_BYTES", 10)
    with pytest.raises(IngestError, match="more than 10 bytes"):
        read(folder, "path\n1.tif\n2.tif\n")
