"""The command line as users type it: one case through every service, then each command."""

from __future__ import annotations

import csv
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from embedded import EmbeddedStack
from tests.support.command_line import Done, call_karyo
from tests.support.s3 import bucket, moto_url, s3_client, s3_endpoint
from tests.support.web import png

__all__ = ["bucket", "moto_url", "s3_client", "s3_endpoint"]
pytestmark = pytest.mark.stack

Karyo = Callable[..., Done]


@pytest.fixture(scope="module")
def karyo(module_home: Path) -> Iterator[Karyo]:
    """Call ``karyo`` with an embedded stack of this module's own, which runs all the time."""
    with EmbeddedStack(module_home):
        yield partial(call_karyo, module_home)


@pytest.fixture(scope="module")
def images(karyo: Karyo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated metaphases and a file that is no image."""
    folder = tmp_path_factory.mktemp("images")
    karyo("simulate", folder, "--karyotype", "46,XY", "--cells", 2, "--seed", 5)
    (folder / "SIM-001" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand then nothing")
    return folder


@pytest.fixture(scope="module")
def report(karyo: Karyo, images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    done = karyo("run", images, "--out", folder)
    assert "2 new, 0 known, 1 rejected; 2 done" in done.stderr
    assert "broken.png" in done.stdout
    return folder


def test_run_writes_every_file_of_the_report(report: Path) -> None:
    assert len(list((report / "karyograms").glob("*.png"))) == 2
    drawings = sorted((report / "karyograms").glob("*.svg"))
    assert [ElementTree.parse(path).getroot().get("viewBox") is not None for path in drawings] == [True, True]
    assert len(list((report / "overlays").glob("*.png"))) == 2
    table = pq.read_table(report / "chromosomes.parquet")
    assert table.num_rows == len(json.loads((report / "coco.json").read_text())) > 80
    with (report / "cases.csv").open(newline="") as stream:
        (case,) = csv.DictReader(stream)
    assert (case["case"], case["images"], case["cells"]) == ("SIM-001", "2", "2")
    page = (report / "report.html").read_text()
    assert "SIM-001_001.png" in page
    assert all(f"karyograms/{path.name}" in page for path in drawings)
    assert "broken.png" in page


def test_second_run_ingests_nothing_new(karyo: Karyo, images: Path, report: Path, tmp_path: Path) -> None:
    again = karyo("run", images, "--out", tmp_path)
    assert "0 new, 2 known, 1 rejected; 2 done" in again.stderr
    assert (tmp_path / "coco.json").read_text() == (report / "coco.json").read_text()


@pytest.mark.usefixtures("report")
@pytest.mark.parametrize(
    ("name", "start"), [("case.html", b"<!doctype html>"), ("case.pdf", b"%PDF-"), ("case.json", b"{")]
)
def test_a_case_report_has_the_format_of_its_suffix(karyo: Karyo, tmp_path: Path, name: str, start: bytes) -> None:
    done = karyo("case-report", "SIM-001", tmp_path / name)
    assert re.search(r"case SIM-001, \w+, not signed$", done.stderr)
    assert (tmp_path / name).read_bytes().startswith(start)


@pytest.mark.usefixtures("report")
def test_cells_lists_which_to_take_first(karyo: Karyo) -> None:
    document = json.loads(karyo("cells", "SIM-001", "--json").stdout)
    assert [one["cell"] for one in document["to_count"]] == [1, 2]
    assert all(re.search(r"expected to correct: \d+\.\d outlines", one["reason"]) for one in document["to_count"])
    assert {one["image"] for one in document["to_count"]} == {f"SIM-001/SIM-001_00{n}.png" for n in (1, 2)}
    assert "Best cells to karyotype" in karyo("cells", "SIM-001").stdout
    assert "there is no case 'no such case'" in karyo("cells", "no such case", code=1).stderr


def test_a_case_report_that_cannot_be_written_is_one_sentence(karyo: Karyo, tmp_path: Path) -> None:
    missing = karyo("case-report", "no such case", tmp_path / "case.html", code=1)
    assert missing.stderr == "error: there is no case 'no such case'; `karyo report case_status` lists the cases\n"
    suffix = karyo("case-report", "SIM-001", tmp_path / "case.doc", code=2)
    assert "'case.doc' does not end in .html, .pdf, .json" in suffix.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("report")
def test_archives_and_prefixes_are_ingested_too(
    karyo: Karyo,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    endpoint, bucket = request.getfixturevalue("s3_endpoint"), request.getfixturevalue("bucket")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for path in images.rglob("*.png"):
            name = path.relative_to(images).as_posix()
            archive.write(path, name)
            request.getfixturevalue("s3_client").put_object(Bucket=bucket, Key=f"in/{name}", Body=path.read_bytes())
    monkeypatch.setenv("KARYO_S3_ENDPOINT_URL", endpoint)
    for location in (tmp_path / "images.zip", f"s3://{bucket}/in"):
        summary = json.loads(karyo("ingest", location, "--json").stdout)
        assert (summary["new"], summary["duplicate"], summary["enqueued"]) == (0, 2, 0)
        assert [(item["name"], item["reason"]) for item in summary["rejected"]] == [("SIM-001/broken.png", "truncated")]
    assert "does not exist" in karyo("ingest", tmp_path / "absent.zip", code=2).stderr
    assert "holds no objects" in karyo("ingest", f"s3://{bucket}/empty", code=1).stderr
    assert "case holds control characters" in karyo("ingest", images, "--case", "a\nb", code=1).stderr


def test_analyse_gives_the_same_results_without_services(
    karyo: Karyo, images: Path, report: Path, tmp_path: Path
) -> None:
    karyo("analyse", images, "--coco", tmp_path / "coco.json", "--cells", tmp_path / "cells.csv")

    def by_place(path: Path) -> dict[tuple[str, str], tuple[object, ...]]:
        items = json.loads(path.read_text())
        return {
            (item["file_name"], item["segmentation"]["counts"]): (item["category_id"], item["bbox"], item["score"])
            for item in items
        }

    assert by_place(tmp_path / "coco.json") == by_place(report / "coco.json")
    with (tmp_path / "cells.csv").open(newline="") as stream:
        rows = {row["file_name"]: row for row in csv.DictReader(stream)}
    assert sorted(row["rejected"] for row in rows.values() if row["rejected"]) == ["truncated"]


def test_results_agree_with_the_simulated_truth(karyo: Karyo, images: Path, report: Path) -> None:
    metrics = json.loads(karyo("evaluate", "coco", images / "coco.json", report / "coco.json").stdout)
    assert metrics["counted"]["bbox"]["AP50"] > 0.9


def test_reports_are_listed_and_written(karyo: Karyo, report: Path) -> None:
    listed = json.loads(karyo("report", "--list", "--json").stdout)
    assert {"throughput", "case_status", "image_quality", "failures_by_reason"} <= {item["name"] for item in listed}
    (status,) = json.loads(karyo("report", "case_status", "--json").stdout)
    assert status["accession"] == "SIM-001"
    assert karyo("report", "case_status", "--format", "csv").stdout.startswith("accession,")
    assert "there are:" in karyo("report", "no_such_report", code=2).stderr


def test_status_and_retry(karyo: Karyo, report: Path) -> None:
    status = json.loads(karyo("status", "--json").stdout)
    assert status["states"]["done"] == 2
    assert json.loads(karyo("retry", "--json").stdout) == {"retried": 0}


def test_a_case_is_prioritised(karyo: Karyo, report: Path) -> None:
    done = karyo("prioritise", " SIM-001 ", "stat", "--json")
    assert json.loads(done.stdout) == {"case": "SIM-001", "priority": "stat", "prioritised": 0}
    assert "there is no case 'SIM-9'" in karyo("prioritise", "SIM-9", "routine", code=1).stderr
    assert "'urgent' is not one of" in karyo("prioritise", "SIM-001", "urgent", code=2).stderr


def test_images_that_contradict_a_known_case_exit_with_1(
    karyo: Karyo, images: Path, report: Path, tmp_path: Path
) -> None:
    (tmp_path / "SIM-001").mkdir()
    (tmp_path / "SIM-001" / "001.png").write_bytes(png())
    for words in (("ingest",), ("run", "--out", tmp_path / "report")):
        done = karyo(*words, tmp_path / "SIM-001", code=1)
        assert "case_exists" in done.stdout
        assert "0 new, 0 known, 1 rejected" in done.stderr
    summary = json.loads(karyo("ingest", images / "SIM-001", "--case", "SIM-002", "--json", code=1).stdout)
    assert {item["reason"] for item in summary["rejected"]} == {"known_in_other_case", "truncated"}
    (status,) = json.loads(karyo("report", "case_status", "--json").stdout)
    assert status["accession"] == "SIM-001"
    assert "case is empty" in karyo("ingest", images, "--case", " ", code=1).stderr


def test_a_report_replaces_reports_only(karyo: Karyo, images: Path, report: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("of the reader")
    done = karyo("run", images, "--out", tmp_path, code=1)
    assert "choose another --out, or empty it" in done.stderr
    assert "known" not in done.stderr
    karyo("run", images, "--out", report)
    marker = json.loads((report / "report.json").read_text())
    assert marker["complete"]
    assert {"report.html", "cases.csv", "coco.json"} <= set(marker["files"])


def test_queues_are_paused_drained_and_resumed(karyo: Karyo, report: Path) -> None:
    assert json.loads(karyo("pause", "--priority", "backlog", "--json").stdout)["paused"] == ["backlog"]
    assert [row["priority"] for row in json.loads(karyo("status", "--json").stdout)["paused"]] == ["backlog"]
    assert json.loads(karyo("drain", "--json").stdout) == {"taken_back": 0, "in_hand": 0}
    assert "karyo resume" in karyo("status").stdout
    assert json.loads(karyo("resume", "--json").stdout) == {"resumed": 3}


def test_campaign_enqueues_no_image_twice(karyo: Karyo, report: Path) -> None:
    made = json.loads(karyo("campaign", "create", "--where", "case=SIM-001", "--json").stdout)
    assert (made["images"], made["enqueued"]) == (2, 0)
    shown = json.loads(karyo("campaign", "show", made["id"], "--json").stdout)
    assert shown["filters"] == {"where": ["case=SIM-001"]}
    assert "there are: case" in karyo("campaign", "create", "--where", "colour=red", code=2).stderr


def test_schedule_is_added_listed_and_removed(karyo: Karyo, report: Path) -> None:
    karyo("schedule", "add", "nightly", "--cron", "0 2 * * *", "--where", "banding=G")
    (schedule,) = json.loads(karyo("schedule", "list", "--json").stdout)
    assert schedule["cron"] == "0 2 * * *"
    assert "no cron expression" in karyo("schedule", "add", "bad", "--cron", "often", code=2).stderr
    karyo("schedule", "remove", "nightly")


def test_incomplete_environment_is_one_sentence(monkeypatch: pytest.MonkeyPatch, karyo: Karyo) -> None:
    monkeypatch.setenv("KARYO_DATABASE_URL", "postgresql://karyo:x@db/karyo")
    done = karyo("status", code=2)
    assert "missing: KARYO_BROKER_URL, KARYO_OBJECT_STORE" in done.stderr


@pytest.mark.usefixtures("report")
def test_nothing_found_exits_with_1(karyo: Karyo, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for name in ("a.xml", "b.xml", "notes", ".hidden"):
        (tmp_path / "texts" / name).write_text("text")
    (tmp_path / "list.csv").write_text("path,case\n")
    for words in (("ingest",), ("run", "--out", tmp_path / "report")):
        assert "there are no files" in karyo(*words, tmp_path / "empty", code=1).stderr
        assert "there are no files" in karyo(*words, tmp_path / "list.csv", code=1).stderr
        done = karyo(*words, tmp_path / "texts", code=1)
        assert "4 files passed over: 2 .xml, 1 hidden, 1 text" in done.stderr.replace("\n", " ")
    assert not (tmp_path / "report" / "report.html").exists()
    summary = json.loads(karyo("ingest", tmp_path / "texts", "--json", code=1).stdout)
    assert summary["passed_over"] == {".xml": 2, "hidden": 1, "text": 1}


@pytest.mark.usefixtures("report")
def test_a_long_name_and_a_report_inside_are_no_obstacle(karyo: Karyo, images: Path, tmp_path: Path) -> None:
    image = next(path for path in sorted(images.rglob("*.png")) if path.name != "broken.png").read_bytes()
    (tmp_path / f"{'ü' * 125}.png").write_bytes(image + b"trailing bytes make another image")
    for number in (1, 2):
        done = karyo("run", tmp_path, "--case", "LONG", "--out", tmp_path / "report")
        assert ("1 new" in done.stderr, "1 done" in done.stderr) == (number == 1, True)
        assert ("in a report of karyoflow" in done.stderr) == (number == 2)
    assert len(list((tmp_path / "report" / "karyograms").glob("LONG_*.png"))) == 1


@pytest.mark.usefixtures("report")
def test_a_misspelt_reason_or_case_of_retry_is_named(karyo: Karyo) -> None:
    assert "no case 'NO-SUCH'" in karyo("retry", "--case", "NO-SUCH", code=1).stderr
    assert "no analysis failed" in karyo("retry", "--reason", "wroker_lost", code=1).stderr
