"""Narrow terminals, readers that leave, and encodings without a character."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from cli import main as command_line
from cli.console import FittingTable

COLUMNS = [f"column_{number}" for number in range(12)]
NAME = "Fälle–★.png"


def rendered(table: FittingTable, width: int) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_table_that_fits_has_one_line_per_row() -> None:
    table = FittingTable("Title", ["name", "count"], [("a", 1), (None, 2)])
    assert rendered(table, 80) == ["Title", "name  count", "a     1", "-     2"]


def test_a_table_with_one_long_column_is_folded() -> None:
    lines = rendered(FittingTable(None, ["name", "sentence"], [("a.png", "word " * 30)]), 80)
    assert lines[0] == "name   sentence"
    assert [line[:7].strip() for line in lines[1:]] == ["a.png", "", ""]


def test_a_table_that_does_not_fit_is_one_block_per_row() -> None:
    rows = [[f"value {row}.{column} [b]" for column in range(12)] for row in range(2)]
    lines = rendered(FittingTable("Title", COLUMNS, rows), 80)
    assert lines[:2] == ["Title", "column_0   value 0.0 [b]"]
    assert lines[13:15] == ["", "column_0   value 1.0 [b]"]
    assert len(lines) == 1 + 12 + 1 + 12


def test_a_wide_table_without_rows_says_so() -> None:
    assert rendered(FittingTable("Title", COLUMNS, []), 60) == ["Title", "no rows"]


@pytest.fixture
def environment(postgres_url: str, redis_url: str, tmp_path: Path) -> dict[str, str]:
    with psycopg.connect(postgres_url.replace("+psycopg", "")) as connection:
        connection.execute("INSERT INTO karyo.ingest_batches (kind, source) VALUES ('folder', 'here')")
        connection.execute(
            "INSERT INTO karyo.rejections (batch_id, file_name, reason, sentence)"
            " SELECT id, %s, 'truncated', 'It ends too early.' FROM karyo.ingest_batches",
            [NAME],
        )
    urls = {"DATABASE_URL": postgres_url, "BROKER_URL": redis_url, "OBJECT_STORE": tmp_path.as_uri()}
    return os.environ | {f"KARYO_{name}": value for name, value in urls.items()} | {"COLUMNS": "80"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "cli.main", *words]


@pytest.mark.parametrize(("options", "lines"), [(("--json",), 3), ((), 6)])
def test_status_follows_into_a_pipe_until_its_reader_leaves(
    environment: dict[str, str], options: tuple[str, ...], lines: int
) -> None:
    words = command("status", "--follow", "--every", "0.2", *options)
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        read = [following.stdout.readline() for _ in range(lines)]
        assert following.poll() is None
        following.stdout.close()
        assert following.wait(30) == 0
        assert following.stderr.read() == ""
    if options:
        assert all("states" in json.loads(line) for line in read)
    else:
        assert "no image has ended lately" in read[0]


@pytest.mark.parametrize(
    "words", [("report", "failures_by_reason", "--format", "csv"), ("report", "--list"), ("--help",)]
)
def test_a_command_whose_reader_has_gone_is_quiet(environment: dict[str, str], words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command(*words), env=environment, stdout=writer, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writer)
    assert done.stderr == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_encoding_of_a_process_lacks_are_replaced(
    environment: dict[str, str], encoding: str
) -> None:
    done = subprocess.run(
        command("report", "failures_by_reason"),
        env=environment | {"PYTHONIOENCODING": encoding, "LC_ALL": "C"},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert NAME.encode(encoding, "replace") in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("format_", ["csv", "html"])
def test_characters_that_an_encoding_lacks_are_replaced_in_every_format(
    environment: dict[str, str], encoding: str, format_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["karyo", "report", "failures_by_reason", "--format", format_])
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding))
    with pytest.raises(SystemExit) as exited:
        command_line.main()
    assert exited.value.code == 0
    assert NAME.encode("utf-8" if format_ == "html" else encoding, "replace") in written.getvalue()
