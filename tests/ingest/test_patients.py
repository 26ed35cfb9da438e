"""Two patients are never one case, whatever the names of folders and cases are."""

from __future__ import annotations

import threading
import unicodedata
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from db import queue
from db.engine import SessionFactory
from db.schema import Analysis, Case, Image, Priority, Rejection
from ingest.batch import IngestSummary, ingest
from ingest.sources.base import Source
from ingest.sources.folder import FolderSource
from ingest.sources.labels import Labels
from ingest.sources.location import open_source
from ingest.sources.s3_prefix import S3PrefixSource
from storage import DirectoryStore
from tests.support.web import png

Take = Callable[..., IngestSummary]


@pytest.fixture
def take(store: DirectoryStore, session_factory: SessionFactory, pipeline_id: int) -> Take:
    """Ingest a location with given labels."""

    def ingested(location: Path | str | Source, **labels: Any) -> IngestSummary:
        if isinstance(location, Source):
            return ingest(session_factory, store, location, pipeline_id=pipeline_id)
        with open_source(str(location), Labels(**labels)) as source:
            return ingest(session_factory, store, source, pipeline_id=pipeline_id)

    return ingested


@pytest.fixture
def cases(session_factory: SessionFactory) -> Callable[[], dict[str, list[str]]]:
    """Return the file names of the images by case, also of cases without images."""

    def by_case() -> dict[str, list[str]]:
        names: dict[str, list[str]] = {}
        with session_factory() as session:
            rows = session.execute(select(Case.accession, Image.file_name).outerjoin(Image).order_by(Case.id, Image.id))
            for accession, name in rows:
                names.setdefault(accession, []).extend([name] if name else [])
        return names

    return by_case


def fill(folder: Path, *names: str, seed: int = 0, side: int = 96) -> Path:
    """Write images that no other call with another ``seed`` writes."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(1000 * seed + number, side))
    return folder


def reasons(summary: IngestSummary) -> dict[str, str]:
    return {rejection.name: rejection.reason for rejection in summary.rejected}


def test_two_folders_of_one_name_are_not_one_case(
    tmp_path: Path, take: Take, cases: Any, store: DirectoryStore
) -> None:
    first = fill(tmp_path / "A" / "images", "1.png", "2.png", seed=1)
    second = fill(tmp_path / "B" / "images", "1.png", "3.png", "broken.png", seed=2)
    (second / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    assert take(first).new == 2
    summary = take(second)
    assert reasons(summary) == dict.fromkeys(["1.png", "3.png", "broken.png"], "case_exists")
    assert summary.has_conflicts
    sentence = summary.rejected[0].sentence
    assert "images" in sentence
    assert str(first) in sentence
    assert "--case" in sentence
    assert cases() == {"images": ["1.png", "2.png"]}
    assert len(list(store.keys())) == 2
    assert take(second, case="24-2").new == 2
    assert reasons(take(second, case="images"))["1.png"] == "known_in_other_case"


def test_the_same_folder_again_resumes(tmp_path: Path, take: Take, cases: Any) -> None:
    folder = fill(tmp_path / "images", "1.png", "2.png", seed=1)
    take(folder)
    fill(tmp_path / "images", "3.png", "0.png", seed=2)
    again = take(folder)
    assert (again.new, again.duplicate, again.rejected) == (2, 2, [])
    assert sorted(cases()["images"]) == ["0.png", "1.png", "2.png", "3.png"]


def test_a_part_of_a_folder_is_the_same_place(tmp_path: Path, take: Take, cases: Any) -> None:
    fill(tmp_path / "monday", "A/1.png", "B/1.png", seed=1)
    take(tmp_path / "monday")
    fill(tmp_path / "monday", "A/2.png", seed=2)
    assert take(tmp_path / "monday" / "A").rejected == []
    assert cases() == {"A": ["A/1.png", "2.png"], "B": ["B/1.png"]}


def test_a_folder_that_is_filled_again_with_another_patients_images_is_refused(
    tmp_path: Path, take: Take, cases: Any
) -> None:
    folder = tmp_path / "export"
    fill(folder, "1.png", "2.png", seed=1)
    take(folder)
    for path in folder.iterdir():
        path.unlink()
    fill(folder, "1.png", "2.png", "3.png", seed=2)
    assert reasons(take(folder)) == dict.fromkeys(["1.png", "2.png", "3.png"], "case_exists")
    # Uncompressed images of one camera have one size, so name and size alone say nothing.
    for path in folder.iterdir():
        path.unlink()
    taken = sorted((tmp_path / "objects").rglob("*"), key=lambda path: path.is_dir())
    size = max(path.stat().st_size for path in taken if path.is_file())
    (folder / "1.png").write_bytes(png(7).ljust(size, b"\0"))
    assert reasons(take(folder)) == {"1.png": "case_exists"}
    assert cases() == {"export": ["1.png", "2.png"]}


def test_the_same_images_elsewhere_are_known(tmp_path: Path, take: Take, cases: Any) -> None:
    take(fill(tmp_path / "A" / "images", "1.png", "2.png", seed=1))
    copy = fill(tmp_path / "copy" / "images", "1.png", seed=1)
    (copy / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    summary = take(copy)
    assert (summary.duplicate, reasons(summary)) == (1, {"broken.png": "truncated"})
    assert cases() == {"images": ["1.png", "2.png"]}


@pytest.mark.parametrize("wrapped", [True, False])
def test_two_archives_of_one_name_are_not_one_case(tmp_path: Path, take: Take, cases: Any, wrapped: bool) -> None:
    for number, day in enumerate(("monday", "tuesday")):
        (tmp_path / day).mkdir()
        with zipfile.ZipFile(tmp_path / day / "images.zip", "w") as archive:
            for image in range(2):
                archive.writestr(f"images/{image}.png" if wrapped else f"{image}.png", png(10 * number + image))
    assert take(tmp_path / "monday" / "images.zip").new == 2
    assert set(reasons(take(tmp_path / "tuesday" / "images.zip")).values()) == {"case_exists"}
    assert take(tmp_path / "monday" / "images.zip").duplicate == 2
    assert [len(names) for names in cases().values()] == [2]


def test_two_prefixes_of_one_name_are_not_one_case(take: Take, request: pytest.FixtureRequest) -> None:
    bucket, endpoint = request.getfixturevalue("bucket"), request.getfixturevalue("s3_endpoint")
    for number, key in enumerate(("a/images/1.png", "b/images/1.png")):
        request.getfixturevalue("s3_client").put_object(Bucket=bucket, Key=key, Body=png(number))

    def run(prefix: str) -> IngestSummary:
        return take(S3PrefixSource(f"s3://{bucket}/{prefix}", endpoint_url=endpoint))

    assert [run("a/images").new, run("a/images/").duplicate] == [1, 1]
    assert reasons(run("b/images")) == {"1.png": "case_exists"}


def test_a_manifest_without_a_case_column_names_cases_after_folders(tmp_path: Path, take: Take, cases: Any) -> None:
    for number, name in enumerate("AB"):
        fill(tmp_path / name / "images", "1.png", seed=number)
        (tmp_path / name / "images" / "list.csv").write_text("path\n1.png\n")
    assert take(tmp_path / "A" / "images" / "list.csv").new == 1
    assert reasons(take(tmp_path / "B" / "images" / "list.csv")) == {"1.png": "case_exists"}
    (tmp_path / "B" / "images" / "list.csv").write_text("path,case\n1.png,images\n")
    assert take(tmp_path / "B" / "images" / "list.csv").new == 1
    assert cases() == {"images": ["1.png", "1.png"]}


def test_loose_images_and_a_folder_of_the_same_name_are_not_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    folder = fill(tmp_path / "images", "images/1.png", "loose.png", seed=1)
    summary = take(folder)
    assert (summary.new, list(reasons(summary).values())) == (1, ["case_exists"])
    assert [len(names) for names in cases().values()] == [1]


def test_a_relative_path_is_the_place_that_it_means(
    tmp_path: Path, take: Take, cases: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate("AB"):
        fill(tmp_path / name / "images", "1.png", seed=number)
        monkeypatch.chdir(tmp_path / name)
        summary = take("images")
        assert (summary.new, len(summary.rejected)) == ((1, 0) if name == "A" else (0, 1))
    fill(tmp_path / "A" / "images", "2.png", seed=5)
    monkeypatch.chdir(tmp_path)
    assert take("A/../A/images").new == 1


def test_concurrent_folders_of_one_name_are_not_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    folders = [fill(tmp_path / str(number) / "images", "1.png", "2.png", seed=number) for number in range(4)]
    summaries = at_once([partial(take, folder) for folder in folders])
    assert sorted(summary.new for summary in summaries) == [0, 0, 0, 2]
    assert [len(names) for names in cases().values()] == [2]


def test_the_same_bytes_are_not_taken_for_another_case(tmp_path: Path, take: Take, cases: Any) -> None:
    folder = fill(tmp_path / "x", "1.png", seed=1)
    take(folder, case="24-1")
    summary = take(folder, case="24-2")
    (rejection,) = summary.rejected
    assert (rejection.reason, summary.duplicate, summary.image_ids) == ("known_in_other_case", 0, [])
    assert "24-1" in rejection.sentence
    assert "24-2" in rejection.sentence
    assert summary.has_conflicts
    assert cases() == {"24-1": ["1.png"]}
    assert take(folder, case="24-1").duplicate == 1


def test_two_rows_with_the_same_bytes_under_two_cases_are_not_both_taken(
    tmp_path: Path, take: Take, cases: Any, session_factory: SessionFactory
) -> None:
    fill(tmp_path, "1.png", "3.png", seed=1)
    (tmp_path / "2.png").write_bytes((tmp_path / "1.png").read_bytes())
    (tmp_path / "list.csv").write_text("path,case\n1.png,24-1\n2.png,24-2\n3.png,24-1\n")
    summary = take(tmp_path / "list.csv")
    assert (summary.new, reasons(summary)) == (2, {"2.png": "known_in_other_case"})
    assert cases() == {"24-1": ["1.png", "3.png"]}
    with session_factory() as session:
        assert session.scalars(select(Rejection.reason)).all() == ["known_in_other_case"]


def at_once(calls: list[Callable[[], IngestSummary]]) -> list[IngestSummary]:
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], IngestSummary]) -> IngestSummary:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def test_one_image_for_twelve_cases_at_once_makes_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    folder = fill(tmp_path / "x", "1.png", seed=1)
    summaries = at_once([partial(take, folder, case=f"24-{number}") for number in range(12)])
    assert sorted(summary.new for summary in summaries) == [0] * 11 + [1]
    assert [summary.rejected[0].reason for summary in summaries if summary.rejected] == ["known_in_other_case"] * 11
    assert list(cases().values()) == [["1.png"]]


def test_twelve_images_for_one_case_at_once_make_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    folders = [fill(tmp_path / str(number), f"{number}.png", seed=number) for number in range(12)]
    summaries = at_once([partial(take, folder, case="24-1", lab="north") for folder in folders])
    assert [summary.new for summary in summaries] == [1] * 12
    assert [len(names) for names in cases().values()] == [12]


def labels_of(sessions: SessionFactory) -> tuple[str | None, str | None]:
    with sessions() as session:
        case = session.scalars(select(Case)).one()
        return case.lab, case.tissue


def test_a_case_keeps_its_laboratory_and_tissue(
    tmp_path: Path, take: Take, cases: Any, session_factory: SessionFactory, store: DirectoryStore
) -> None:
    take(fill(tmp_path / "1", "1.png", seed=1), case="24-1")
    assert labels_of(session_factory) == (None, None)
    assert take(tmp_path / "1", case="24-1", lab="north").rejected == []
    assert labels_of(session_factory) == ("north", None)
    other = take(fill(tmp_path / "2", "2.png", seed=2), case="24-1", lab="south")
    assert reasons(other) == {"2.png": "other_laboratory"}
    assert "north" in other.rejected[0].sentence
    assert "south" in other.rejected[0].sentence
    assert other.has_conflicts
    assert reasons(take(tmp_path / "1", case="24-1", lab="south")) == {"1.png": "other_laboratory"}
    assert take(tmp_path / "2", case="24-1", tissue="blood").new == 1
    assert reasons(take(tmp_path / "2", case="24-1", tissue="skin")) == {"2.png": "other_tissue"}
    assert labels_of(session_factory) == ("north", "blood")
    assert cases() == {"24-1": ["1.png", "2.png"]}
    assert len(list(store.keys())) == 2


def test_two_laboratories_of_one_case_in_one_manifest_are_refused(tmp_path: Path, take: Take, cases: Any) -> None:
    fill(tmp_path, "1.png", "2.png", "3.png", seed=1)
    (tmp_path / "list.csv").write_text("path,case,lab\n1.png,24-1,\n2.png,24-1,north\n3.png,24-1,south\n")
    assert reasons(take(tmp_path / "list.csv")) == {"3.png": "other_laboratory"}
    assert cases() == {"24-1": ["1.png", "2.png"]}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("banding", ("GTG", "RBA")),
        ("slide", ("S1", "S2")),
        ("microscope", ("one", "two")),
        ("captured_at", ("2024-05-31T14:30:00+02:00", "2024-06-01T14:30:00+02:00")),
    ],
)
def test_labels_of_a_known_image_are_added_and_not_changed(
    tmp_path: Path, take: Take, session_factory: SessionFactory, column: str, values: tuple[str, str]
) -> None:
    fill(tmp_path, "1.png", seed=1)
    first, second = values

    def given(value: str) -> IngestSummary:
        (tmp_path / "list.csv").write_text(f"path,case,{column}\n1.png,24-1,{value}\n")
        return take(tmp_path / "list.csv")

    assert [given(value).rejected for value in ("", first, first, "")] == [[]] * 4
    with session_factory() as session:
        assert getattr(session.scalars(select(Image)).one(), column) is not None
    assert reasons(given(second)) == {"1.png": f"other_{column}"}


def priorities(sessions: SessionFactory) -> list[Priority]:
    with sessions() as session:
        return list(session.scalars(select(Analysis.priority).order_by(Analysis.image_id)))


def test_a_higher_priority_that_is_given_later_counts(
    tmp_path: Path, take: Take, session_factory: SessionFactory
) -> None:
    folder = fill(tmp_path / "x", "1.png", "2.png", seed=1)
    take(folder, case="24-1", priority=Priority.BACKLOG)
    take(folder, case="24-1")
    assert priorities(session_factory) == [Priority.BACKLOG] * 2  # no priority was given
    (tmp_path / "x" / "list.csv").write_text("path,case,priority\n1.png,24-1,routine\n")
    take(tmp_path / "x" / "list.csv")
    assert priorities(session_factory) == [Priority.ROUTINE] * 2
    take(fill(tmp_path / "y", "3.png", seed=2), case="24-1", priority=Priority.STAT)
    assert priorities(session_factory) == [Priority.STAT] * 3
    take(folder, case="24-1", priority=Priority.BACKLOG)
    assert priorities(session_factory) == [Priority.STAT] * 3
    with session_factory.begin() as session:
        assert len(queue.claim(session, Priority.STAT, 10, 100)) == 3


def test_a_laboratory_that_is_given_later_has_the_lane(
    tmp_path: Path, take: Take, session_factory: SessionFactory
) -> None:
    take(fill(tmp_path / "x", *(f"{number}.png" for number in range(3)), seed=1), case="24-1")
    take(tmp_path / "x", case="24-1", lab="north")
    with session_factory.begin() as session:
        lanes = session.execute(select(Analysis.lane_id).distinct()).all()
        assert len(lanes) == 1
        assert len(queue.claim(session, Priority.ROUTINE, 10, 100)) == 3


def test_spellings_of_an_accession_number_are_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    composed, decomposed = unicodedata.normalize("NFC", "Müller 7"), unicodedata.normalize("NFD", "Müller 7")
    fill(tmp_path / "x", "1.png", seed=1)
    fill(tmp_path / "y" / decomposed, "2.png", seed=2)
    (tmp_path / "x" / "list.csv").write_text(f"path,case\n1.png,  {decomposed.replace(' ', '  ')} \n")
    take(tmp_path / "x" / "list.csv")
    take(tmp_path / "y", case=composed)
    assert list(cases()) == [composed]
    assert reasons(take(fill(tmp_path / "z" / decomposed, "3.png", seed=3))) == {"3.png": "case_exists"}


@pytest.mark.parametrize("name", ["a\u200bb", "a\u202eb", "a\\b", "x" * 201])
def test_a_folder_whose_name_is_no_accession_number_is_rejected(
    tmp_path: Path, take: Take, cases: Any, name: str
) -> None:
    fill(tmp_path / "monday", f"{name}/1.png", "good/1.png", seed=1)
    summary = take(tmp_path / "monday")
    assert (summary.new, len(summary.rejected)) == (1, 1)
    assert summary.rejected[0].reason in {"bad_text", "bad_path", "long_text", "unsafe_name"}
    assert list(cases()) == ["good"]


def test_paths_of_another_system_in_an_archive_are_not_one_case(tmp_path: Path, take: Take, cases: Any) -> None:
    with zipfile.ZipFile(tmp_path / "monday.zip", "w") as archive:
        archive.writestr("A\\1.png", png(1))
        archive.writestr("B\\1.png", png(2))
    take(tmp_path / "monday.zip")
    assert all(len(names) == 1 for names in cases().values())


def test_the_folder_source_records_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "images", "1.png")
    monkeypatch.chdir(tmp_path)
    assert FolderSource(Path("images")).source == str(tmp_path / "images")
