"""Sheets of XLSX workbooks as rows of text."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import Any

from openpyxl import load_workbook
from openpyxl.cell.read_only import EMPTY_CELL

from ingest.rejections import IngestError
from ingest.sources.cells import MAX_TABLE_BYTES, Cells, column_key

MAX_ROWS = 1_048_576  # of a sheet in Excel
MAX_COLUMNS = 128  # among which a header is; cells to the right of it are not read
_HEADER_ROWS = 100  # first rows of a sheet, among which the header is
_MAX_DIGITS = 15  # significant digits of a number in a workbook
_UNSEEN_FORMAT = re.compile(r"\[[^\]]*\]|_.|\*.|;.*")  # colours, locales, widths, and formats of negative numbers
_PLAIN_FORMAT = re.compile(r"(?:General|@|[#0?,. ]*(?:E\+0+)?)", re.IGNORECASE)
_ZEROS = re.compile(r"(0+)(?:\.(0+))?")  # formats that show leading or trailing zeros

_Text = tuple[str, str, Mapping[str, object]]
"""Text of a cell, reason (empty if the cell can be used), and facts of its sentence."""


def read_sheet(path: object, data: bytes, known: Sequence[str], dates: Collection[str]) -> list[Cells]:
    """Return the header of the first sheet that has one, and the rows below that are not blank.

    The header is a row that names the first of the known columns. Without such a sheet it is the first row of the
    first sheet. Formulas are read by the value that is stored with them.

    Args:
        path: Name of the workbook, for errors.
        data: Its content.
        known: Columns of the table, the needed one first.
        dates: Columns of ``known`` whose cells may be dates.

    Raises:
        IngestError: ``manifest_unreadable``.
    """
    try:
        _check_size(data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about features that a table has no use for
            options: dict[str, Any] = {"read_only": True, "keep_links": False}
            values = load_workbook(io.BytesIO(data), data_only=True, **options)
            formulas = load_workbook(io.BytesIO(data), data_only=False, **options)
            with closing(values), closing(formulas):
                name, header_line, width = _find_header(values.worksheets, column_key(known[0]))
                date_keys = {column_key(column) for column in dates}
                pairs = zip(_cell_rows(values[name], width), _cell_rows(formulas[name], width), strict=True)
                return list(_rows(pairs, header_line, date_keys))
    except Exception as error:  # a damaged workbook can make its reader raise anything
        raise IngestError("manifest_unreadable", path=path, error=error) from error


def _check_size(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_TABLE_BYTES:
        raise ValueError(f"it unpacks to {size:,} bytes and the limit is {MAX_TABLE_BYTES:,}")


def _find_header(sheets: Sequence[Any], key: str) -> tuple[str, int, int]:
    """Return the sheet that has the column ``key``, and line and width of its header."""
    for sheet in sheets:
        for line, row in enumerate(_cell_rows(sheet, MAX_COLUMNS, _HEADER_ROWS), start=1):
            if any(isinstance(cell.value, str) and column_key(cell.value) == key for cell in row):
                return sheet.title, line, _width(row)
    if not sheets:
        raise ValueError("it holds no sheet")
    return sheets[0].title, 1, MAX_COLUMNS


def _rows(
    rows: Iterable[tuple[Sequence[Any], Sequence[Any]]], header_line: int, dates: Collection[str]
) -> Iterator[Cells]:
    """Yield the header and the rows below that are not blank, without empty cells at the end.

    Args:
        rows: cells with their values, and the same cells with their formulas.
        header_line: line of the header, from 1.
        dates: keys of columns whose cells may be dates.
    """
    date_columns: set[int] | None = None
    for line, (row, stored) in enumerate(rows, start=1):
        width = _width(row)
        if line < header_line or not width:
            continue
        read = [_text(row[number], stored[number]) for number in range(width)]
        texts = [text for text, _, _ in read]
        if date_columns is None:
            date_columns = {number for number, text in enumerate(texts) if column_key(text) in dates}
            yield Cells(line, texts)
            continue
        problems = {
            number: (reason, facts)
            for number, (_, reason, facts) in enumerate(read)
            if reason and not (reason == "cell_is_date" and number in date_columns)
        }
        cells = Cells(line, texts, problems)
        if not cells.is_blank:
            yield cells


def _cell_rows(sheet: Any, width: int, count: int = MAX_ROWS) -> Iterator[Sequence[Any]]:
    """Return the first rows of a sheet, each of ``width`` cells."""
    rows: Iterator[Sequence[Any]] = sheet.iter_rows(min_row=1, max_row=count, max_col=width)
    return rows


def _width(row: Sequence[Any]) -> int:
    """Return the number of cells up to the last that is not empty."""
    return next((number for number in range(len(row), 0, -1) if row[number - 1] is not EMPTY_CELL), 0)


def _text(cell: Any, formula: Any) -> _Text:
    """Return a cell as text, as a person sees it.

    Args:
        cell: Cell with its value, of a formula the value that was stored with it.
        formula: The same cell with its formula.
    """
    value = cell.value
    if value is None:
        return "", "cell_without_value" if formula.data_type == "f" else "", {}
    if isinstance(value, str):
        return value, "cell_error" if cell.data_type == "e" else "", {"value": value}
    if isinstance(value, bool):
        return str(value).upper(), "", {}
    if isinstance(value, int | float):
        return _number(value, cell.number_format or "General")
    if isinstance(value, date):
        return (
            str(value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)),
            "cell_is_date",
            {},
        )
    return str(value), "cell_is_date", {}  # a time of day, or a duration


def _number(value: float, number_format: str) -> _Text:
    """Return a number as it was written, with the zeros that its format shows."""
    if abs(value) >= 10**_MAX_DIGITS:
        return f"{value:.{_MAX_DIGITS}g}", "cell_long_number", {"limit": _MAX_DIGITS}
    number_format = _UNSEEN_FORMAT.sub("", number_format)
    text = str(int(value)) if float(value).is_integer() else f"{value:.{_MAX_DIGITS}g}"
    if (zeros := _ZEROS.fullmatch(number_format)) is not None:
        integers, decimals = len(zeros[1]), len(zeros[2] or "")
        if float(f"{value:.{decimals}f}") == value:
            return f"{value:0{integers + decimals + (decimals > 0)}.{decimals}f}", "", {}
    if _PLAIN_FORMAT.fullmatch(number_format) is None:
        return text, "cell_number_format", {"value": text, "format": number_format}
    return text, "", {}
