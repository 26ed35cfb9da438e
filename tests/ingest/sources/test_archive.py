"""Zip archives of metaphase images."""

from __future__ import annotations

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ingest.rejections import IngestError, Rejected
from ingest.sources.base import Item
from ingest.sources.content import PassedOver
from ingest.sources.labels import Labels
from ingest.sources.location import open_source
from tests.support.unknown_files import ANSWERS, FILES, answer_by_name


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Two cases, an image in no folder, a hostile name, and files that are passed over."""
    path = tmp_path / "monday.zip"
    with zipfile.ZipFile(path, "w") as target:
        for name in ("A/cell 10.tif", "A/cell 9.tif", "B/slide 2/1.png", "loose.bmp", "../up.tif"):
            target.writestr(name, name.encode())
        for name in ("notes.txt", ".hidden.tif", "__MACOSX/A/._cell 9.tif"):
            target.writestr(name, b"passed over")
    return path


def test_images_are_items_in_natural_order_and_cases_are_folders(archive: Path) -> None:
    with open_source(str(archive)) as source:
        answers = list(source.items())
        passed_over = sorted(answer.kind for answer in answers if isinstance(answer, PassedOver))
        assert passed_over == [".txt", "hidden", "hidden"]
        *items, rejection = (answer for answer in answers if not isinstance(answer, PassedOver))
        assert (source.kind, source.source) == ("archive", str(archive))
        assert [(item.name, item.labels.case) for item in items if isinstance(item, Item)] == [
            ("A/cell 9.tif", "A"),
            ("A/cell 10.tif", "A"),
            ("B/slide 2/1.png", "B/slide 2"),
            ("loose.bmp", "monday"),
        ]
        assert isinstance(rejection, Rejected)
        assert rejection.reason == "outside_collection"


@pytest.mark.parametrize(
    ("names", "cases"),
    [
        (("top/A/1.tif", "top/B/s 1/1.tif", "top/2.tif", "read me.txt"), {"A", "B/s 1", "top"}),
        (("A/1.tif", "A/2.tif"), {"A"}),
        (("A/1.tif", "B/1.tif"), {"A", "B"}),
    ],
)
def test_cases_are_those_of_the_only_folder_without_the_archive(
    tmp_path: Path, names: tuple[str, ...], cases: set[str]
) -> None:
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as target:
        for name in names:
            target.writestr(name, name.encode())
    with zipfile.ZipFile(tmp_path / "monday.zip") as written:
        written.extractall(tmp_path / "unpacked")
    folder = tmp_path / "unpacked" / (names[0].partition("/")[0] if cases != {"A", "B"} else "")
    for place in (tmp_path / "monday.zip", folder):
        with open_source(str(place)) as source:
            items = [item for item in source.items() if isinstance(item, Item)]
            assert {item.labels.case for item in items} == cases
            assert all(item.read(100) in {name.encode() for name in names} for item in items)


def test_a_given_case_applies_to_all_images(archive: Path) -> None:
    with open_source(str(archive), Labels("24-7", lab="north")) as source:
        labels = {(item.labels.case, item.labels.lab) for item in source.items() if isinstance(item, Item)}
    assert labels == {("24-7", "north")}


def test_threads_may_read_at_the_same_time(tmp_path: Path) -> None:
    contents = {f"{number}.tif": bytes([number]) * 100_000 for number in range(64)}
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in contents.items():
            target.writestr(name, data)
    with open_source(str(tmp_path / "many.zip")) as source, ThreadPoolExecutor(8) as threads:
        items = [item for item in source.items() if isinstance(item, Item)]
        read = dict(zip([item.name for item in items], threads.map(lambda item: item.read(2**20), items), strict=True))
    assert read == contents


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "monday.zip").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(IngestError) as caught, open_source(str(tmp_path / "monday.zip")):
        pass
    assert caught.value.reason == "not_a_collection"


def answers(path: Path) -> dict[str, str]:
    """Return the answers to every file of an archive."""
    with open_source(str(path)) as source:
        return answer_by_name(source.items())


def test_files_without_a_known_suffix_are_judged_by_their_content(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as target:
        for name, data in FILES.items():
            target.writestr(f"A/{name}", data)
        target.mkdir("A/folder.png")
    assert answers(tmp_path / "monday.zip") == {f"A/{name}": answer for name, answer in ANSWERS.items()} | {
        "A/folder.png": "not_a_file"
    }


def test_backslashes_of_other_systems_separate_folders(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as target:
        for name in ("A\\1.tif", "B\\1.tif"):
            target.writestr(name, b"")
    assert answers(tmp_path / "monday.zip") == {"A/1.tif": "A", "B/1.tif": "B"}


def test_reports_of_karyoflow_are_passed_over(tmp_path: Path) -> None:
    names = ["a.png", "out/report.html", "out/karyograms/a.png", "out/b.png", "report.json", "overlays/a.png"]
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as target:
        for name in names:
            target.writestr(name, b"")
    in_report = "in a report of karyoflow"
    assert answers(tmp_path / "monday.zip") == {
        "a.png": "monday",
        "out/report.html": in_report,
        "out/karyograms/a.png": in_report,
        "out/b.png": in_report,
        "report.json": ".json",
        "overlays/a.png": in_report,
    }


def test_a_name_with_thousands_of_digits_is_sorted(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as target:
        for name in ("9" * 5000 + ".tif", "10.tif", "9.tif"):
            target.writestr(name, b"")
    assert [len(name) for name in answers(tmp_path / "monday.zip")] == [5, 6, 5004]
