"""``karyo campaign`` and ``karyo schedule`` on a real database."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq

from db.engine import SessionFactory
from tests.support.command_line import Karyo
from tests.support.two_pipelines import add_case, add_pipeline, add_results


def test_diff_prints_the_gravest_cases_first_and_writes_files(
    karyo: Karyo, session_factory: SessionFactory, tmp_path: Path
) -> None:
    for accession in ("A-1", "A-2"):
        add_case(session_factory, accession)
    add_results(
        session_factory, add_pipeline(session_factory, "old", "production"), {"A-1": "47,XX,+21", "A-2": "46,XX"}
    )
    add_results(session_factory, add_pipeline(session_factory, "new"), {"A-1": "46,XX", "A-2": "46,XX"})
    page, table = tmp_path / "diff.html", tmp_path / "diff.parquet"
    stdout, stderr = karyo("campaign", "diff", "production", "new", "--html", str(page), "--parquet", str(table))
    (line,) = [line for line in stdout.splitlines() if "A-1" in line]
    assert line.startswith("abnormal -> normal")
    assert "47,XX,+21, 5 cells, 0.80" in line
    assert "2 cases have a result of both" in stderr
    assert "47,XX,+21, 5 cells, 0.80" in page.read_text()
    assert pq.read_table(table).num_rows == 2
    document = json.loads(karyo("campaign", "diff", "old", "new", "--json")[0])
    assert [case["consequence"] for case in document["cases"]] == ["abnormal -> normal", "unchanged"]


def test_diff_of_what_is_unknown_or_cannot_be_written_is_a_sentence(karyo: Karyo, tmp_path: Path) -> None:
    assert "there is no campaign 7" in karyo("campaign", "diff", "7", "8", code=2)[1]
    assert "there is no folder" in karyo("campaign", "diff", "a", "b", "--html", str(tmp_path / "x" / "y"), code=2)[1]


def test_a_dry_run_counts_and_estimates_and_creates_nothing(karyo: Karyo, session_factory: SessionFactory) -> None:
    add_case(session_factory, "A-1", tissue="blood")
    add_results(session_factory, add_pipeline(session_factory, "old", "production"), {"A-1": "46,XX"}, seconds=36.0)
    add_pipeline(session_factory, "new")
    dry_run = ("campaign", "create", "--pipeline", "new", "--where", "tissue=blood and not iscn=46,XY", "--dry-run")
    text = karyo(*dry_run)[1]
    assert "1 images of 1 cases match; new (6e6e6e6e6e6e) has not analysed 1 of them" in text
    assert "about 0.01 hours: 36 s per image, measured with old (6f6f6f6f6f6f), and one process" in text
    assert json.loads(karyo(*dry_run, "--json")[0])["missing"] == 1
    assert json.loads(karyo("campaign", "list", "--json")[0]) == []


def test_a_malformed_filter_is_a_sentence_with_its_place(karyo: Karyo, session_factory: SessionFactory) -> None:
    add_pipeline(session_factory, "old", "production")
    text = karyo("campaign", "create", "--where", "tissue=bone marrow", code=2)[1].replace("\n", " ")
    assert "cannot be read at character 13: end of text is expected before 'marrow'" in text


def test_a_campaign_is_paused_resumed_at_a_rate_and_cancelled(karyo: Karyo, session_factory: SessionFactory) -> None:
    add_case(session_factory, "A-1")
    add_pipeline(session_factory, "old", "production")
    karyo("campaign", "create", "--per-hour", "10")
    assert "campaign 1 paused: 1 images wait for `karyo campaign resume 1`" in karyo("campaign", "pause", "1")[1]
    assert json.loads(karyo("campaign", "show", "1", "--json")[0])["state"] == "paused"
    assert "campaign 1 runs: 1 images wait, 5 per hour" in karyo("campaign", "resume", "1", "--per-hour", "5")[1]
    assert "1 images are given up" in karyo("campaign", "cancel", "1", "--because", "wrong pipeline")[1]
    (listed,) = json.loads(karyo("campaign", "list", "--json")[0])
    assert (listed["state"], listed["enqueued"]) == ("cancelled", 0)
    assert "there is no campaign 2" in karyo("campaign", "cancel", "2", code=2)[1]


def test_a_schedule_has_policies_and_names_those_there_are(karyo: Karyo, session_factory: SessionFactory) -> None:
    add_pipeline(session_factory, "old", "production")
    add = ("schedule", "add", "night", "--cron", "0 2 * * *", "--timezone", "Europe/Berlin")
    assert "'latest', 'skip'" in karyo(*add, "--missed", "all", code=2)[1].replace("\n", " ")
    karyo(*add, "--missed", "skip", "--overlap", "wait", "--where", "signed=no")
    (listed,) = json.loads(karyo("schedule", "list", "--json")[0])
    assert (listed["missed"], listed["overlap"], listed["timezone"]) == ("skip", "wait", "Europe/Berlin")
    assert listed["filters"] == {"where": ["signed=no"]}
