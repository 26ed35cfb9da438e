"""Tables as CSV and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""First characters of texts that a spreadsheet may run as a formula (OWASP, CSV Injection)."""


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``rows`` to a CSV file with a header; every key of a row is one of ``columns``.

    Texts that a spreadsheet would run as a formula begin with an apostrophe.
    """
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows({column: as_text(cell) for column, cell in row.items()} for row in rows)


def write_csv_rows(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and ``rows`` as CSV to an open stream, as :func:`write_csv` does."""
    writer = csv.writer(stream)
    writer.writerow(columns)
    writer.writerows(map(as_text, row) for row in rows)


def as_text(cell: Any) -> Any:
    """Return ``cell``, with an apostrophe before a text that spreadsheets run as a formula.

    >>> as_text("=1+1"), as_text("46,XX"), as_text(-1)
    ("'=1+1", '46,XX', -1)
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Write ``rows`` to a Parquet file.

    Its columns are the keys of the first row, or ``columns`` without rows.
    """
    import pyarrow as pa  # noqa: PLC0415 - `karyo analyse` writes CSV files only
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pa.Table.from_pylist(list(rows)) if rows else pa.table({column: pa.nulls(0) for column in columns})
    pq.write_table(table, path)
