"""Tables that people save from spreadsheets: CSV in its dialects, and XLSX."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ingest.printable import printable
from ingest.rejections import IngestError
from ingest.sources.cells import Cells, column_key

DELIMITERS = ",;\t|"
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\r|\n)', re.IGNORECASE)
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_TEXT_FORMULA = re.compile(r'="(.*)"', re.DOTALL)  # keeps leading zeros when a spreadsheet opens the file
_CP1252_NOTE = "{path} is not UTF-8 and was read as Windows-1252; if letters are wrong in names, save it as CSV UTF-8."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the cell of a column cannot be used: a reason and the facts of its sentence."""

    column: str
    reason: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not blank: its line in the file, from 1, and its texts by column."""

    line: int
    values: Mapping[str, str]
    """Text of every known column of the table, as it is stored."""
    problem: Problem | None = None
    """The first cell that cannot be used."""


@dataclass(frozen=True, slots=True)
class Table:
    """An open table: the columns of its header, and its rows as they are read."""

    columns: tuple[str, ...]
    """As they are spelt in ``known`` of :func:`read_table`, others as in the file; empty ones are left out."""
    rows: Iterator[Row]
    notes: tuple[str, ...] = ()
    """Sentences for people about how the table was read."""


def read_table(path: object, data: bytes, known: Sequence[str], *, dates: Collection[str] = ()) -> Table:
    """Return the table in the content of a file.

    CSV is separated by commas, semicolons, tabs or ``|``, in UTF-8, UTF-16 with a byte order mark, or Windows-1252.
    Columns are recognised in any case, with blanks, underscores and hyphens in any number. Blank rows, and columns
    without a name and values, are passed over.

    Args:
        path: Name of the file, for errors.
        data: Its content, CSV or XLSX.
        known: Columns that a table may have, the needed one first.
        dates: Columns of ``known`` whose cells may be dates of a workbook.

    Raises:
        IngestError: ``manifest_unreadable``, by this call or while rows are read, or ``manifest_duplicate_column``.
    """
    if data.startswith(b"PK\x03\x04"):
        from ingest.sources.workbook import read_sheet  # noqa: PLC0415 - few tables are workbooks

        return _table(path, iter(read_sheet(path, data, known, dates)), known, ())
    text, notes = _decode(path, data)
    return _table(path, _csv_rows(path, text, known), known, notes)


def known_columns(header: Sequence[str], known: Collection[str]) -> int:
    """Return how many cells of a row are names of ``known`` columns."""
    keys = {column_key(name) for name in known}
    return sum(column_key(name) in keys for name in header)


def _table(path: object, rows: Iterator[Cells], known: Collection[str], notes: Sequence[str]) -> Table:
    header = next(rows, Cells(1, ()))
    spellings = {column_key(name): name for name in known}
    names = [spellings.get(column_key(name), printable(name.strip())) for name in header.texts]
    keys: set[str] = set()
    for name in filter(None, names):
        if column_key(name) in keys:
            raise IngestError("manifest_duplicate_column", path=path, column=name)
        keys.add(column_key(name))
    return Table(tuple(filter(None, names)), (_row(cells, names) for cells in rows), tuple(notes))


def _row(cells: Cells, names: Sequence[str]) -> Row:
    """Return the cells of one row by column, with the problem of its leftmost bad cell."""
    values = dict.fromkeys(filter(None, names), "")
    problem = None
    for number, text in enumerate(cells.texts):
        column = names[number] if number < len(names) else ""
        reason, facts = cells.problems.get(number, ("", {}))
        if not column and (text.strip() or reason):
            reason, facts = "too_many_values", {}
        if reason and problem is None:
            problem = Problem(column, reason, facts)
        if column:
            values[column] = text
    return Row(cells.line, values, problem)


def _decode(path: object, data: bytes) -> tuple[str, list[str]]:
    """Return the text of a CSV file, and a note if its encoding is a guess."""
    try:
        for mark, encoding in _BYTE_ORDER_MARKS:
            if data.startswith(mark):
                return data[len(mark) :].decode(encoding), []
    except UnicodeDecodeError as error:
        raise IngestError("manifest_unreadable", path=path, error=error) from error
    try:
        return data.decode(), []
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252"), [_CP1252_NOTE.format(path=path)]
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise IngestError("manifest_unreadable", path=path, error=f"line {line}: {error}") from error


def _csv_rows(path: object, text: str, known: Collection[str]) -> Iterator[Cells]:
    """Yield the rows that are not blank; the first is the header."""
    before = 0
    if match := _SEPARATOR_LINE.match(text):
        delimiter, text, before = match[1], text[match.end() :], 1
    else:
        delimiter = _delimiter(text, known)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = before + 1
    try:
        for texts in lines:
            cells = Cells(line, [_without_formula(text) for text in texts])
            line = before + lines.line_num + 1
            if not cells.is_blank:
                yield cells
    except csv.Error as error:
        raise IngestError("manifest_unreadable", path=path, error=f"line {line}: {error}") from error


def _delimiter(text: str, known: Collection[str]) -> str:
    """Return the delimiter that finds most known columns in the header, else the most frequent."""
    header = next((line for line in io.StringIO(text) if line.strip(f'{DELIMITERS}" \t\r\n\0')), "")

    def columns(delimiter: str) -> tuple[int, int]:
        try:
            names = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            names = header.split(delimiter)
        return known_columns(names, known), header.count(delimiter)

    return max(DELIMITERS, key=columns)


def _without_formula(text: str) -> str:
    match = _TEXT_FORMULA.fullmatch(text.strip())
    return text if match is None else match[1].replace('""', '"')
