"""Tables that people open in spreadsheets."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from reports.tables import write_csv, write_csv_rows


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", '=HYPERLINK("x")'])
def test_texts_that_are_formulas_begin_with_an_apostrophe(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "a.csv", ("case", "count"), [{"case": text, "count": 1}])
    with (tmp_path / "a.csv").open(newline="") as stream:
        assert list(csv.DictReader(stream)) == [{"case": f"'{text}", "count": "1"}]
    buffer = io.StringIO(newline="")
    write_csv_rows(buffer, ("case",), [(text,)])
    assert list(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == [["case"], [f"'{text}"]]


@pytest.mark.parametrize("cell", ["24-7", "a=b", "46,XX", "A/cell 1.png", "'quoted", "", -1, -0.5, 3, None])
def test_other_cells_stay(tmp_path: Path, cell: Any) -> None:
    write_csv(tmp_path / "a.csv", ("file",), [{"file": cell}])
    with (tmp_path / "a.csv").open(newline="") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == ["" if cell is None else str(cell)]
