"""``karyo report``: formats, dates, and errors in one sentence."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from db.engine import SessionFactory
from reports.catalogue import PRESENTATIONS
from tests.support.command_line import Karyo
from tests.support.small_year import add_small_year

DIRECTOR = sorted(name for name, shown in PRESENTATIONS.items() if shown.question)


@pytest.fixture
def small_year(karyo: Karyo, session_factory: SessionFactory) -> Karyo:
    """``karyo`` on a laboratory's small year."""
    add_small_year(session_factory)
    karyo("report", "--list", "--refresh")
    return karyo


def test_a_table_has_title_question_and_age(small_year: Karyo) -> None:
    out, err = small_year("report", "turnaround", "--from", "2026-03-09", "--to", "2026-03-15")
    assert "Turnaround: How long does a case take from receipt to analysis" in out
    assert "2026-03-09 00:00:00" in out
    assert "2026-03-02" not in out
    assert "As of 20" in out
    assert "From 2026-03-09 to 2026-03-15." in " ".join(out.split())
    assert err == ""


def test_rows_for_machines_have_the_age_of_materialised_data_on_stderr(small_year: Karyo) -> None:
    assert small_year("report", "turnaround", "--format", "csv")[1].startswith("As of 20")
    assert small_year("report", "turnaround", "--json")[1].startswith("As of 20")
    assert small_year("report", "karyotypes", "--json")[1] == ""


def test_csv_json_and_parquet_hold_the_same_rows(small_year: Karyo, tmp_path: Path) -> None:
    words = ("report", "karyotypes", "--to", "2026-03-31")
    out, _ = small_year(*words, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    out, _ = small_year(*words, "--json")
    documents = json.loads(out)
    small_year(*words, "--format", "parquet", "--out", tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert sorted((row["karyotype"], row["share"]) for row in rows) == [
        ("46,XX", "0.5"),
        ("47,XX,+21", "0.5"),
        ("47,XX,+21", "1.0"),
    ]
    assert [row["karyotype"] for row in rows] == [row["karyotype"] for row in documents]
    assert table.column("share").to_pylist() == [row["share"] for row in documents]


def test_a_parquet_file_without_rows_keeps_its_columns(karyo: Karyo, tmp_path: Path) -> None:
    karyo("report", "worklist", "--format", "parquet", "--out", tmp_path / "a.parquet")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.num_rows == 0
    assert table.column_names[:3] == ["place", "accession", "lab"]


@pytest.mark.parametrize("name", DIRECTOR)
def test_a_page_is_one_file_with_question_units_and_chart(small_year: Karyo, tmp_path: Path, name: str) -> None:
    small_year("report", name, "--format", "html", "--out", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    shown = PRESENTATIONS[name]
    assert f"<h1>{shown.title}</h1>" in page
    assert f"<p>{shown.question}</p>" in page
    assert "As of 20" in page
    assert ("data:image/png;base64," in page) == (shown.chart is not None)
    assert page.count("src=") == page.count('src="data:')
    assert "href=" not in page


def test_a_page_without_matplotlib_says_how_to_install_it(
    small_year: Karyo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    small_year("report", "turnaround", "--format", "html", "--out", tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "matplotlib is not installed: pip install &#39;karyoflow[train]&#39;." in page
    assert "<img" not in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["turnaround", "--from", "March"], "--from 'March' is no date; write it as YYYY-MM-DD, such as 2026-03-31"),
        (["turnaround", "--to", "2026-02-30"], "--to '2026-02-30' is no date; write it as YYYY-MM-DD"),
        (["turnaround", "--from", "2026-02-03", "--to", "2026-02-02"], "--from 2026-02-03 is after --to 2026-02-02"),
        (["backlog", "--from", "2026-02-03"], "report backlog has no dates; leave out --from and --to"),
        (["nothing"], "there is no report 'nothing'; there are: abnormality_rate, backlog, backlog_forecast"),
        (["turnaround", "--format", "parquet"], "a parquet report needs --out FILE"),
    ],
)
def test_a_wrong_request_is_one_sentence(karyo: Karyo, words: list[str], sentence: str) -> None:
    out, err = karyo("report", *words, code=2)
    assert out == ""
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1


def test_every_view_has_a_presentation(karyo: Karyo) -> None:
    out, _ = karyo("report", "--list", "--json")
    assert {report["name"] for report in json.loads(out)} == set(PRESENTATIONS)
    assert len(DIRECTOR) == 12


def test_every_figure_of_a_director_has_a_unit(karyo: Karyo) -> None:
    out, _ = karyo("report", "--list", "--json")
    words = "week month lab tissue accession reason priority outcome iscn signature stage karyotype dimension name "
    words += "reviewer class paused oldest_at ends_at received_at"
    figures = [
        (report["name"], column, meaning)
        for report in json.loads(out)
        if report["name"] in DIRECTOR
        for column, meaning in report["columns"].items()
        if column not in words.split() and not column.endswith(("pipeline", "digest"))
    ]
    assert len(figures) > 70
    assert [figure for figure in figures if not re.search(r" \[[^]]+\]", figure[2])] == []
