"""Tables as CSV and Parquet files."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write ``rows`` to a CSV file with a header; every key of a row is one of ``columns``."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def write_csv_rows(stream: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a header and ``rows`` as CSV to an open stream."""
    writer = csv.writer(stream)
    writer.writerow(columns)
    writer.writerows(rows)


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write ``rows`` to a Parquet file; its columns are the keys of the first row."""
    import pyarrow as pa  # noqa: PLC0415 - `karyo analyse` writes CSV files only
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.Table.from_pylist(list(rows)), path)
