"""Collections of single-chromosome pictures: a folder or a zip, perhaps with an ``index.csv`` that tells their cells.

Nothing of an archive is ever unpacked to disk, so a name in it can lead nowhere; what a picture may take is bounded
before it is read.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ingest.rejections import IngestError, Rejected, is_printable, printable, rejected
from ingest.sources.folder import IMAGE_SUFFIXES, discover, examine, natural
from ingest.sources.folder import read as read_file
from karyotyping.image.decode import ImageRejected

INDEX = "index.csv"
FOLDER = "folder"
"""Instead of a column of the index: a picture is of the cell that its folder is named after."""

_MAX_INDEX_BYTES = 256 * 2**20
_UTF8_NAME, _LOCKED = 0x800, 0x1
"""Flag bits of a zip's entries (APPNOTE.TXT, section 4.4.4)."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One file of a collection: ``name`` within it, and the ``cell`` it is of, if that was asked for."""

    name: str
    cell: str | None = None


class Collection(ABC):
    """An open collection."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @abstractmethod
    def names(self) -> Iterator[str | Rejected]:
        """What is named like an image, hidden files apart, in natural order, or why it is not taken."""

    @abstractmethod
    def holds(self, name: str) -> Rejected | bool:
        """Whether there is a file of that name, whatever its suffix, or why it is not taken."""

    @abstractmethod
    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """The content of a file, or why it cannot be read.

        Raises:
            ImageRejected: ``too_many_bytes``, found out before reading.
        """

    def pictures(self, by_cell: str | None = None) -> list[Picture | Rejected]:
        """Every picture once, in the order of the index, and then what the index does not name.

        Args:
            by_cell: column of the index that tells a picture's cell, or ``FOLDER``.

        Raises:
            IngestError: ``manifest_unreadable`` or ``manifest_missing_column``, said of the index.
        """
        column = by_cell if by_cell != FOLDER else None
        listed: dict[str, str] = {}
        found: list[Picture | Rejected] = []
        for line, name, cell in self._index(column):
            if not name or (there := self.holds(name)) is False:
                found.append(rejected(name or f"line {line}", "missing_crop", line=line))
            elif isinstance(there, Rejected):
                found.append(there)
            elif name in listed:
                found.append(rejected(name, "listed_twice", line=line))
            else:
                listed[name] = cell
                found.append(self._picture(name, cell, by_cell))
        unlisted = (each for each in self.names() if isinstance(each, Rejected) or each not in listed)
        known = {each.name for each in found if isinstance(each, Rejected)}
        for each in unlisted:
            if not isinstance(each, Rejected):
                found.append(self._picture(each, "", by_cell))
            elif each.name not in known:
                found.append(each)
        return found

    def _picture(self, name: str, cell: str, by_cell: str | None) -> Picture | Rejected:
        if by_cell is None:
            return Picture(name)
        if by_cell == FOLDER:
            return Picture(name, PurePosixPath(name).parent.as_posix())
        return Picture(name, cell) if cell else rejected(name, "missing_cell", column=by_cell)

    def _index(self, column: str | None) -> Iterator[tuple[int, str, str]]:
        """Line, file and value of ``column`` of each line; nothing if there is no index and none is needed."""
        path = self._path / INDEX
        if self.holds(INDEX) is not True:
            if column is not None:
                raise IngestError("manifest_unreadable", path=path, error="there is none")
            return
        try:
            data = self.read(INDEX, _MAX_INDEX_BYTES)
            if isinstance(data, Rejected):
                raise IngestError("manifest_unreadable", path=path, error=data.sentence)
            text = data.decode("utf-8-sig")
            header = text.partition("\n")[0]
            lines = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
            columns = list(lines.fieldnames or ())
            for needed in ("file", column) if column is not None else ():
                if needed not in columns:
                    raise IngestError("manifest_missing_column", path=path, column=needed, known=", ".join(columns))
            if "file" in columns:
                for row in lines:
                    yield lines.line_num, (row["file"] or "").strip(), (row.get(column or "") or "").strip()
        except (ImageRejected, UnicodeDecodeError, csv.Error) as error:
            raise IngestError("manifest_unreadable", path=path, error=error) from error


class FolderCollection(Collection):
    """Pictures in a folder and its sub-folders."""

    def names(self) -> Iterator[str | Rejected]:
        """See :class:`Collection`."""
        yield from (each if isinstance(each, Rejected) else each.name for each in discover(self._path))

    def holds(self, name: str) -> Rejected | bool:
        """See :class:`Collection`."""
        path = self._path / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            return rejected(name, "outside_collection")
        try:
            if not path.exists() and not path.is_symlink():
                return False
        except OSError:  # no name that a file could have
            return False
        target = examine(path, name, self._path.resolve())
        return target if isinstance(target, Rejected) else target is not None

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`Collection`."""
        try:
            return read_file((self._path / name).resolve(), max_bytes)
        except OSError as error:
            return rejected(name, "unreadable_file", error=error.strerror)


class ZipCollection(Collection):
    """Pictures in a zip archive."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        super().__init__(path)
        self._archive = archive
        self._rejected: list[Rejected] = []
        self._entries: Mapping[str, zipfile.ZipInfo] = self._sorted_out()

    def names(self) -> Iterator[str | Rejected]:
        """See :class:`Collection`."""
        yield from (name for name in sorted(self._entries, key=natural) if _looks_like_a_picture(name))
        yield from self._rejected

    def holds(self, name: str) -> Rejected | bool:
        """See :class:`Collection`."""
        return name in self._entries or next((each for each in self._rejected if each.name == name), False)

    def read(self, name: str, max_bytes: int) -> bytes | Rejected:
        """See :class:`Collection`."""
        entry = self._entries[name]
        if entry.flag_bits & _LOCKED:
            return rejected(name, "locked")
        if entry.file_size > max_bytes:
            raise ImageRejected("too_many_bytes", size=entry.file_size, limit=max_bytes)
        try:
            with self._archive.open(entry) as stream:
                return stream.read(max_bytes + 1)  # never more than the size it claims, whatever it unpacks to
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
            return rejected(name, "damaged_archive", error=error)

    def _sorted_out(self) -> dict[str, zipfile.ZipInfo]:
        """The files by name; those whose name cannot be used are rejected."""
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._archive.infolist():
            name = _name(entry)
            parts = name.replace("\\", "/").split("/")
            if entry.is_dir() or any(part.startswith((".", "__MACOSX")) and part != ".." for part in parts):
                continue
            if not is_printable(name):
                self._rejected.append(rejected(name, "unsafe_name"))
            elif not parts[0] or ".." in parts:
                self._rejected.append(rejected(name, "outside_collection"))
            elif name in entries:
                self._rejected.append(rejected(name, "named_twice"))
            else:
                entries[name] = entry
        return entries


@contextmanager
def open_collection(path: Path) -> Iterator[Collection]:
    """The collection at ``path``, while it is needed.

    Raises:
        IngestError: ``not_a_collection``.
    """
    if path.is_dir():
        yield FolderCollection(path)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise IngestError("not_a_collection", path=printable(str(path))) from error
    with archive:
        yield ZipCollection(path, archive)


def _name(entry: zipfile.ZipInfo) -> str:
    """The entry's name. Many programs write UTF-8 and do not say so; zipfile then takes it for code page 437."""
    if entry.flag_bits & _UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _looks_like_a_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
